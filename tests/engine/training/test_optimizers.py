"""Optimizers over one flat tensor, compared with PyTorch's on the same gradients."""

import pytest
import torch
from torch import nn

from cnn_engine.config.schema import OptimizerConfig
from cnn_engine.training.flat_parameters import FlatParameters
from cnn_engine.training.optimizers import build_optimizer

SCALE = 2.0**16


def network():
    torch.manual_seed(3)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 6), nn.Linear(6, 4)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def parameters_by_kind(model):
    """Return the matrices, the vectors and the matrix of the last layer, in lists."""
    named = dict(model.named_parameters())
    head = [named.pop("4.weight")]
    matrices = [values for values in named.values() if values.dim() > 1]
    return matrices, [values for values in named.values() if values.dim() == 1], head


def train(config, make_references, steps=4):
    """Train two equal networks on the same gradients; return the weights of both by name.

    Args:
        config: The optimizer under test.
        make_references: Returns PyTorch's optimizers of a network.
        steps: Number of steps.
    """
    model, reference_model = network(), network()
    weights = FlatParameters(model, None)
    optimizer, references = build_optimizer(config, weights), make_references(reference_model)
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        for one, other in zip(model.parameters(), reference_model.parameters(), strict=True):
            gradient = torch.randn(one.shape, generator=generator)
            # In the memory format of the weights, like the result of a backward pass.
            one.grad = torch.empty_like(one).copy_(gradient)
            other.grad = torch.empty_like(other).copy_(gradient)
        weights.gather_gradients()
        optimizer.step()
        for reference in references:
            reference.step()
    return dict(model.named_parameters()), dict(reference_model.named_parameters())


def assert_matches(config, make_references, tolerance):
    """Assert that trained weights equal PyTorch's within the tolerance, and have changed."""
    trained, expected = train(config, make_references)
    start = dict(network().named_parameters())
    for name, values in trained.items():
        torch.testing.assert_close(values, expected[name], rtol=tolerance, atol=tolerance)
        assert not torch.equal(values, start[name])


def test_adam_equals_pytorch_bit_for_bit():
    weights = FlatParameters(network(), None)
    reference = weights.flat.detach().clone().requires_grad_()
    reference.grad = torch.zeros_like(reference)
    optimizer = build_optimizer(OptimizerConfig(lr=0.1), weights)
    reference_optimizer = torch.optim.Adam([reference], 0.1, fused=True)
    for step in range(5):
        weights.flat.grad.normal_(generator=torch.Generator().manual_seed(step))
        reference.grad.copy_(weights.flat.grad)
        optimizer.step()
        reference_optimizer.step()
    assert torch.equal(weights.flat, reference)


@pytest.mark.parametrize(("name", "class_name"), [("adam", "Adam"), ("adamw", "AdamW")])
def test_parameter_groups_match_pytorch(name, class_name):
    config = OptimizerConfig(
        name=name, lr=0.1, bias_norm_lr=0.2, head_lr=0.05, weight_decay=0.01, decay_bias_norm=False
    )

    def make(model):
        matrices, vectors, head = parameters_by_kind(model)
        groups = [
            {"params": matrices, "weight_decay": 0.01},
            {"params": vectors, "lr": 0.2, "weight_decay": 0.0},
            {
                "params": head,
                "lr": 0.05,
                "weight_decay": 0.02,
            },  # half the rate: the same decay per step
        ]
        return [getattr(torch.optim, class_name)(groups, 0.1, fused=True)]

    assert_matches(config, make, 1e-6)


def test_sgd_matches_pytorch():
    config = OptimizerConfig(name="sgd", lr=0.1, momentum=0.85, weight_decay=0.01)
    assert_matches(
        config,
        lambda model: [
            torch.optim.SGD(
                model.parameters(), 0.1, momentum=0.85, weight_decay=0.01, nesterov=True, fused=True
            )
        ],
        1e-6,
    )


def test_muon_updates_matrices_and_sgd_the_rest():
    config = OptimizerConfig(name="muon", lr=0.02, bias_norm_lr=0.1, momentum=0.6, weight_decay=0.1)

    class Flattened(torch.optim.Muon):
        """PyTorch's Muon, which takes matrices only, on filters as rows of a matrix."""

        def step(self):
            for values, shape in zip(self.param_groups[0]["params"], self.shapes, strict=True):
                values.grad = shape.grad.permute(0, *range(2, shape.dim()), 1).reshape(
                    len(shape), -1
                )
            super().step()
            for values, shape in zip(self.param_groups[0]["params"], self.shapes, strict=True):
                rows = values.view(len(shape), *shape.shape[2:], shape.shape[1])
                shape.data.copy_(rows.permute(0, -1, *range(1, shape.dim() - 1)))

    def make(model):
        matrices, vectors, head = parameters_by_kind(model)
        rows = [
            nn.Parameter(
                filters.detach().permute(0, *range(2, filters.dim()), 1).reshape(len(filters), -1)
            )
            for filters in matrices
        ]
        muon = Flattened(rows, 0.02, weight_decay=0.1, momentum=0.6)
        muon.shapes = matrices
        groups = [
            {"params": vectors, "lr": 0.1, "weight_decay": 0.02},
            {"params": head},
        ]
        sgd = torch.optim.SGD(groups, 0.02, momentum=0.6, weight_decay=0.1, nesterov=True)
        return [muon, sgd]

    assert_matches(config, make, 1e-5)


def test_muon_normalizes_matrices():
    config = OptimizerConfig(name="muon", lr=1e-9, normalise=True)
    trained, _ = train(config, lambda _: [], steps=1)
    trained.pop("4.weight")  # the last layer, which SGD updates
    for matrix in (values for values in trained.values() if values.dim() > 1):
        assert matrix.norm().item() == pytest.approx(len(matrix) ** 0.5, rel=1e-4)


def test_frozen_parameter_stays():
    model = network()
    model[0].weight.requires_grad = False
    before = model[0].weight.clone()
    weights = FlatParameters(model, None)
    optimizer = build_optimizer(OptimizerConfig(name="sgd", lr=0.1, weight_decay=0.1), weights)
    weights.flat.grad.fill_(1.0)
    optimizer.step()
    assert torch.equal(model[0].weight, before)
    assert "0.weight" not in weights.by_name(weights.flat)


@pytest.mark.parametrize(("max_norm", "expected"), [(0.5, 0.5), (100.0, 3.0)])
def test_gradient_is_clipped_by_norm(max_norm, expected):
    weights = FlatParameters(network(), None)
    config = OptimizerConfig(name="sgd", lr=1.0, momentum=0.0, clip_norm=max_norm)
    optimizer = build_optimizer(config, weights)
    before = weights.flat.detach().clone()
    weights.flat.grad.fill_(3.0 / len(before) ** 0.5)
    optimizer.step()
    assert (before - weights.flat.detach()).norm().item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", ["adam", "sgd", "muon"])
@pytest.mark.parametrize("clip_norm", [None, 10.0])
def test_grad_scaler_unscales_and_skips_overflow(name, clip_norm):
    config = OptimizerConfig(name=name, lr=0.1, clip_norm=clip_norm)
    both = [FlatParameters(network(), None) for _ in range(2)]
    optimizer, unscaled = (build_optimizer(config, weights) for weights in both)
    values, expected = (weights.flat for weights in both)
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
    for step in range(3):
        scaler.scale(torch.zeros(1))  # initializes the scaler
        gradient = torch.randn(len(values), generator=torch.Generator().manual_seed(step))
        values.grad.copy_(gradient * scaler.get_scale())
        if step == 1:
            values.grad[7] = torch.inf
        else:
            expected.grad.copy_(gradient)
            unscaled.step()
        scaler.step(optimizer)
        scaler.update()
    assert torch.equal(values, expected)
    assert scaler.get_scale() == SCALE / 2


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "muon"])
def test_state_dict_round_trip(name):
    config = OptimizerConfig(name=name, lr=0.1)
    weights = FlatParameters(network(), None)
    optimizer = build_optimizer(config, weights)
    other = FlatParameters(network(), None)
    weights.flat.grad.normal_(generator=torch.Generator().manual_seed(0))
    optimizer.step()
    other.flat.data.copy_(weights.flat)
    resumed = build_optimizer(config, other)
    resumed.load_state_dict(optimizer.state_dict())
    for parameters in (weights, other):
        parameters.flat.grad.normal_(generator=torch.Generator().manual_seed(1))
    optimizer.step()
    resumed.step()
    assert torch.equal(weights.flat, other.flat)
