"""Layers and FLOPs of a model, which inspection does not change."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnn_engine.inspection.eval_mode import eval_mode
from cnn_engine.inspection.flops import FlopCounter
from cnn_engine.inspection.layers import inspect_layers
from cnn_engine.models.cnn import CNN


def published_model() -> CNN:
    return CNN(
        channels=3,
        image_size=32,
        class_count=10,
        filters=(32, 64, 128),
        hidden=(256, 128),
        dropout=0.5,
    )


class Residual(nn.Module):
    """A model with a shortcut, a module used twice, a parameter and a matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3))
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.noise = nn.Dropout(0.5)
        self.unused = nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images + self.body(images) * self.scale
        images = self.body(images).relu_()
        return images.flatten(2) @ images.flatten(2).transpose(1, 2) + torch.rand(1)


def test_layers_of_the_published_network() -> None:
    """Compare with FLOPs computed by hand: two per weight and position."""
    found = inspect_layers(published_model(), torch.zeros(2, 3, 32, 32)).layers
    layers = {layer.name: layer for layer in found}
    sides, filters = (32, 16, 8), (3, 32, 64, 128)
    for block, (side, (before, after)) in enumerate(zip(sides, pairwise(filters), strict=True)):
        convolution, norm = layers[f"blocks.{block}.0"], layers[f"blocks.{block}.1"]
        assert convolution.output == (after, side, side)
        assert convolution.parameters == after * before * 9 + after
        assert convolution.flops == 2 * after * before * 9 * side * side
        assert norm.parameters == 2 * after
        assert norm.flops == 2 * after * side * side
    assert layers["dense.0.0"].flops == 2 * 2048 * 256
    assert layers["dense.2"].output == (10,)
    assert layers["blocks.0.3"].output == (32, 16, 16)
    assert {layer.kind for layer in layers.values()} >= {"MaxPool2d", "ReLU", "Dropout"}
    assert sum(layer.parameters for layer in layers.values()) == 652_426


def test_training_step_is_63_5_million_multiply_adds() -> None:
    """Three products per layer, except the gradient of the images; `bench` counts alike."""
    model, images = published_model().train(), torch.zeros(2, 3, 32, 32)
    layers = inspect_layers(model, images).layers
    products = [layer.flops for layer in layers if layer.kind in ("Conv2d", "Linear")]
    with FlopCounter() as count:
        model(images).sum().backward()
    assert count.products / 2 == 3 * sum(products) - products[0] == 63_512_064


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_flops_match_flop_counter_mode(dtype: torch.dtype) -> None:
    models = [
        published_model().eval(),  # PyTorch's counter does not count mkldnn convolutions
        nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2), nn.Conv2d(4, 8, 5, 2)),
        nn.Conv2d(3, 12, 3, groups=3),
        nn.Sequential(nn.Flatten(2), nn.TransformerEncoderLayer(1024, 2, 32, batch_first=True)),
    ]
    for model in models:
        images = torch.zeros(3, 3, 32, 32, requires_grad=True)
        counts = []
        for counter in (FlopCounter(), FlopCounterMode(display=False)):
            with counter:
                with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                    output = model(images)
                # PyTorch counts too many for groups; ours does not count attention.
                if model in models[:2]:
                    output.sum().backward()
            counts.append(counter)
        assert counts[0].products == counts[1].get_total_flops() > 0


def test_layers_of_any_module() -> None:
    layers = {
        layer.name: layer for layer in inspect_layers(Residual(), torch.zeros(1, 3, 8, 8)).layers
    }
    assert list(layers) == ["body.0", "body.1", "", "unused"]
    assert layers["body.0"].flops == 2 * (2 * 3 * 3 * 9 * 64)  # executed twice
    assert layers[""].parameters == 3
    assert layers[""].flops == 2 * 3 * 64 * 3
    assert layers["unused"].output == ()


def test_inspection_changes_nothing() -> None:
    model, images = Residual().train(), torch.randn(4, 3, 8, 8)
    model.body.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    inspect_layers(model, images)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert not model.body.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_inspection_of_a_failing_model_changes_nothing() -> None:
    model = published_model().train()
    with pytest.raises(RuntimeError):
        inspect_layers(model, torch.zeros(1, 4, 32, 32))
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_eval_mode_is_undone_after_an_error() -> None:
    model = published_model().train()
    with pytest.raises(KeyError), eval_mode(model):
        raise KeyError
    assert model.training
    assert torch.is_grad_enabled()
