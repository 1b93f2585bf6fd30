"""Parameters in one flat tensor train like those of a plain model with autocast."""

import copy
import itertools
import re

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cnn_engine.config.schema import ModelConfig, OptimizerConfig
from cnn_engine.models.build import build_model
from cnn_engine.models.cnn import Dropout
from cnn_engine.training.flat_parameters import FlatParameters
from cnn_engine.training.optimizers import build_optimizer

STEPS = 5


@pytest.fixture
def plain():
    torch.manual_seed(0)
    config = ModelConfig(filters=(8, 16), hidden=(32,), dropout=0.0)
    model = build_model(config, channels=3, image_size=16, class_count=5)
    return model.to(memory_format=torch.channels_last).train()


def batches():
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        images = torch.randn(32, 3, 16, 16, generator=generator)
        labels = torch.randint(0, 5, (32,), generator=generator)
        yield images.to(memory_format=torch.channels_last), labels


def loss_of(model, images, labels, low_precision):
    with torch.autocast(
        "cpu", dtype=low_precision or torch.bfloat16, enabled=low_precision is not None
    ):
        return cross_entropy(model(images), labels)


def train_plainly(model, low_precision):
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.01), fused=True)
    losses = []
    for images, labels in batches():
        loss = loss_of(model, images, labels, low_precision)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train_flat(model, weights, low_precision):
    optimizer = build_optimizer(OptimizerConfig(lr=0.01), weights)
    losses = []
    for images, labels in batches():
        loss = loss_of(model, images, labels, low_precision)
        weights.zero_grad()
        loss.backward()
        weights.gather_gradients()
        optimizer.step()
        weights.copy_to_model()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("low_precision", [None, torch.bfloat16])
def test_training_matches_plain_model(plain, low_precision):
    start, flat = copy.deepcopy(plain.state_dict()), copy.deepcopy(plain)
    weights = FlatParameters(flat, low_precision)
    # Not bit for bit: vector instructions cover other elements in the flat tensor.
    assert train_flat(flat, weights, low_precision) == pytest.approx(
        train_plainly(plain, low_precision), rel=1e-5
    )
    state, expected = weights.state_dict(), plain.state_dict()
    assert state.keys() == expected.keys()
    for name, values in expected.items():
        # Batch norm cancels the bias before it; its gradient is a rounding error, which Adam
        # scales up.
        if re.fullmatch(r"blocks\.\d+\.(0\.bias|1\.running_mean)", name):
            assert state[name].isfinite().all(), name
            assert not torch.equal(state[name], start[name].to(state[name])), name
        else:
            torch.testing.assert_close(state[name], values, rtol=1e-5, atol=1e-6)


def test_low_precision_covers_convolutions_and_linear_layers(plain):
    FlatParameters(plain, torch.bfloat16)
    types = {name: parameter.dtype for name, parameter in plain.named_parameters()}
    norms = [name for name, module in plain.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    for name, dtype in types.items():
        is_norm = name.rpartition(".")[0] in norms
        assert dtype == (torch.float32 if is_norm else torch.bfloat16), name


def test_memory_formats_are_kept(plain):
    before = [parameter.stride() for parameter in plain.parameters()]
    FlatParameters(plain, torch.bfloat16)
    assert [parameter.stride() for parameter in plain.parameters()] == before


def test_state_dict_round_trip(plain):
    other = copy.deepcopy(plain)
    weights = FlatParameters(plain, torch.bfloat16)
    train_flat(plain, weights, torch.bfloat16)
    state = copy.deepcopy(weights.state_dict())
    fresh = FlatParameters(other, torch.bfloat16)
    fresh.load_state_dict(state)
    for name, values in fresh.state_dict().items():
        assert torch.equal(values, state[name]), name
    images, _ = next(batches())
    assert torch.equal(other.eval()(images.bfloat16()), plain.eval()(images.bfloat16()))


def test_weights_without_gradient_stay(plain):
    plain.unused = nn.Linear(3, 3)
    weights = FlatParameters(plain, None)
    before = plain.unused.weight.detach().clone()
    train_flat(plain, weights, None)
    assert torch.equal(plain.unused.weight, before)


def test_dropout_rate_and_mean():
    torch.manual_seed(0)
    values = torch.ones(200, 1000)
    dropped = Dropout(0.3)(values)
    assert (dropped == 0).double().mean().item() == pytest.approx(0.3, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.7])


def test_dropout_depends_on_seed():
    values, dropout = torch.ones(100), Dropout(0.5)
    torch.manual_seed(3)
    draws = [dropout(values) for _ in range(3)]
    assert all(not torch.equal(one, other) for one, other in itertools.pairwise(draws))
    torch.manual_seed(3)
    assert torch.equal(dropout(values), draws[0])


def test_dropout_is_identity_in_eval_mode():
    values = torch.randn(10)
    assert torch.equal(Dropout(0.5).eval()(values), values)
    assert torch.equal(Dropout(0.0)(values), values)
