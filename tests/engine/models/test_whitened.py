"""The whitened CNN (airbench): its whitening layer and initialization."""

import pytest
import torch
from torch.nn.functional import unfold

from cnn_engine.checkpoints import checkpoint
from cnn_engine.config.schema import ModelConfig
from cnn_engine.models.build import build_model
from cnn_engine.models.whitened import WHITEN_BIAS_EPOCHS, Block, Whitening
from runs_for_tests import RunForTests

SMALL = ModelConfig(name="whitened", filters=(24, 32), depth=2)


def images(channels=3, count=64, size=16):
    """Return smooth images, whose neighbouring pixels are correlated."""
    noise = torch.randn(
        count, channels, size + 4, size + 4, generator=torch.Generator().manual_seed(0)
    )
    return torch.nn.functional.avg_pool2d(noise, 5, stride=1) * 3


@pytest.mark.parametrize("channels", [1, 3])
def test_whitening_layer_whitens(channels):
    layer, smooth = Whitening(channels), images(channels)
    layer.init_whitening(smooth)
    with torch.no_grad():
        layer.bias.zero_()
        whitened = layer(smooth).transpose(0, 1).flatten(1)
    half = len(whitened) // 2
    assert half == 4 * channels
    torch.testing.assert_close(whitened[:half], -whitened[half:])
    covariance = whitened[:half] @ whitened[:half].T / whitened.shape[1]
    patches = unfold(smooth, 2).transpose(1, 2).flatten(0, 1)
    variances = torch.linalg.eigvalsh(patches.T @ patches / len(patches))
    # Unit variances, except for the epsilon that limits small ones.
    torch.testing.assert_close(
        covariance, torch.diag(variances / (variances + 5e-4)), atol=2e-3, rtol=0
    )


def test_whitening_filters_are_fixed_and_biases_trained():
    model = build_model(SMALL, 3, 16, 10)
    trained = {name for name, tensor in model.named_parameters() if tensor.requires_grad}
    assert "whitening.weight" not in trained
    assert {"whitening.bias", "head.weight", "blocks.0.norms.0.bias"} <= trained
    assert not any(name.endswith("norms.0.weight") for name in trained)


def test_whitening_bias_is_trained_in_the_first_epochs_only(tmp_path):
    settings = ("model.name=whitened", "model.filters=[16]", "data.image_size=16")
    recipe = ("optimizer.name=sgd", "optimizer.lr=0.1", "optimizer.weight_decay=0.01")
    run = RunForTests(
        tmp_path, *settings, *recipe, f"train.epochs={WHITEN_BIAS_EPOCHS - 1}"
    ).train()
    biases = []
    for epochs in (WHITEN_BIAS_EPOCHS, WHITEN_BIAS_EPOCHS + 1, None):
        content = checkpoint.load(run.directory.path / "last.pt", torch.device("cpu"))
        biases.append(content["model"]["whitening.bias"])
        if epochs:
            run.resume(epochs)
    before, last, after = biases
    assert not torch.equal(before, last)
    assert torch.equal(last, after)


def test_convolutions_start_as_identity():
    block = Block(3, 8, 2)
    maps = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(block.first(maps)[:, :3], maps)


def test_depth_3_has_a_shortcut():
    torch.manual_seed(0)
    block = Block(3, 8, 3).eval()
    maps = torch.randn(2, 3, 6, 6)
    handle = block.others[0].register_forward_hook(
        lambda _, arguments, __: inputs.append(arguments[0])
    )
    inputs = []
    with torch.no_grad():
        block.others[1].weight.zero_()  # leaves the shortcut only
        result = block(maps)
    handle.remove()
    torch.testing.assert_close(result, torch.nn.functional.gelu(inputs[0]))


@pytest.mark.parametrize("size", [16, 21, 32])
def test_whitened_cnn_takes_any_size(size):
    model = build_model(SMALL, 3, size, 7)
    assert model(images(size=size)).shape == (64, 7)


def test_whitened_cnn_trains_and_resumes(tmp_path):
    settings = ("model.name=whitened", "model.filters=[16]", "data.image_size=16")
    recipe = (
        "optimizer.name=muon",
        "optimizer.lr=0.1",
        "optimizer.bias_norm_lr=1",
        "optimizer.head_lr=10",
    )
    run = RunForTests(
        tmp_path, *settings, *recipe, "train.epochs=3", "optimizer.normalise=true"
    ).train()
    assert run.live_state.status == "done"
    assert run.live_state.test.accuracy > 0.8
    run.resume(epochs=4)
    assert run.live_state.prepared.differences == ()
    assert len(run.live_state.epochs) == 4
