"""Models of torchvision with weights from a file."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from torchvision.models import resnet18, shufflenet_v2_x0_5
from torchvision.models.vision_transformer import interpolate_embeddings

from cnn_engine.checkpoints.weights_file import read_weights
from cnn_engine.config.schema import ModelConfig
from cnn_engine.data.sources import idx
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.models.build import build_model
from cnn_engine.models.torchvision_model import image_sizes
from cnn_engine.models.torchvision_weights import current_name, resize_positions
from cnn_engine.runlog.events import Notice, RunPrepared
from cnn_engine.training.flat_parameters import FlatParameters
from cnn_engine.training.initial_weights import load_initial_weights
from runs_for_tests import RunForTests, last_weights

CLASSES = ("ant", "bee", "cat", "dog")


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """Save the weights of a resnet18 for 1,000 classes, as torchvision does; return the path."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18(weights=None).state_dict(), path)
    return path


@pytest.fixture
def few_digits(monkeypatch):
    """Bundle a quarter of the digits: these networks are large."""
    raw = idx.read_digits()
    images, labels = raw.images[::4], raw.labels[::4]
    few = replace(raw, images=images, labels=labels, train_count=len(images))
    monkeypatch.setattr(idx, "read_digits", lambda: few)


TRANSFER = (
    "model.name=torchvision",
    "model.arch=resnet18",
    "data.channels=3",
    "data.image_size=16",
    "train.batch_size=256",
    "train.epochs=1",
)


@pytest.mark.usefixtures("few_digits")
def test_freeze_trains_the_last_layer_only(tmp_path, weights_file):
    run = RunForTests(
        tmp_path, *TRANSFER, f"model.weights='{weights_file}'", "model.freeze=true"
    ).train()
    assert run.live_state.status == "done"
    (prepared,) = (event for event in run.events() if isinstance(event, RunPrepared))
    assert prepared.parameters == 512 * 10 + 10
    before, after = torch.load(weights_file, weights_only=True), last_weights(run.directory)
    frozen = [name for name in before if not name.startswith("fc.")]
    assert all(torch.equal(before[name], after[f"network.{name}"]) for name in frozen)
    assert after["network.fc.weight"].shape == (10, 512)
    assert any(
        "data.mean = [0.485" in event.text for event in run.events() if isinstance(event, Notice)
    )
    trained = load_trained_model(run.directory)
    assert trained.logits(torch.zeros(2, 16, 16, 3, dtype=torch.uint8)).shape == (2, 10)


@pytest.mark.usefixtures("few_digits")
def test_resume_needs_no_weights_file(tmp_path):
    file = tmp_path / "own.pth"
    torch.save(shufflenet_v2_x0_5(weights=None).state_dict(), file)
    small = ("model.arch=shufflenet_v2_x0_5", "model.freeze=true", f"model.weights='{file}'")
    run = RunForTests(tmp_path / "runs", *TRANSFER, *small).train()
    file.unlink()
    run.resume(epochs=2)
    assert run.live_state.status == "done"
    assert len(run.live_state.epochs) == 2


def transfer(*, size=32, **changes):
    config = ModelConfig(**{"name": "torchvision", "arch": "resnet18"} | changes)
    return build_model(config, 3, size, 4)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_nested_state_dict_is_found(tmp_path, weights_file, key):
    state = torch.load(weights_file, weights_only=True)
    torch.save({key: state, "epoch": 3}, tmp_path / "x.pth")
    model = transfer()
    load_initial_weights(model, read_weights(tmp_path / "x.pth"), CLASSES)
    assert torch.equal(model.network.conv1.weight, state["conv1.weight"])


def test_weights_of_another_network_are_refused(tmp_path, weights_file):
    with pytest.raises(ConfigError, match=r"of another network than model\.arch: .* is missing"):
        load_initial_weights(transfer(arch="resnet34"), read_weights(weights_file), CLASSES)
    with pytest.raises(ConfigError, match=r"model\.weights: nowhere\.pth is not a file; "):
        read_weights(Path("nowhere.pth"))


class Canary:
    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.system, (f"touch {self._path}",)


@pytest.mark.parametrize("content", [b"", b"text", "pickle", {"a": 1}, [1, 2]])
def test_file_without_weights_is_refused_and_runs_no_code(tmp_path, content):
    path, canary = tmp_path / "x.pth", tmp_path / "canary"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save({"state_dict": Canary(canary)} if content == "pickle" else content, path)
    with pytest.raises(DataError, match=r"x\.pth: ") as error:
        read_weights(path)
    assert not canary.exists()
    assert "weights_only" not in str(error.value)


def test_unknown_arch_and_grey_images_are_refused():
    with pytest.raises(ConfigError, match=r"has no 'resnet81'; did you mean 'resnet18'"):
        transfer(arch="resnet81")
    with pytest.raises(ConfigError, match=r"data\.channels: torchvision's networks take RGB"):
        build_model(ModelConfig(name="torchvision", arch="resnet18"), 1, 32, 4)


AUXILIARY = pytest.mark.parametrize("arch", ["googlenet", "inception_v3"])


@AUXILIARY
def test_networks_with_auxiliary_heads_return_one_tensor(arch):
    """Only the first output of Inception v3 and GoogLeNet is trained (pytorch/vision#302)."""
    size = {"googlenet": 32, "inception_v3": 75}[arch]
    with torch.device("meta"):
        model = transfer(arch=arch, size=size)
        assert model.train()(torch.zeros(2, 3, size, size)).shape == (2, 4)


@AUXILIARY
def test_file_with_auxiliary_heads_is_loaded_without_them(tmp_path, arch):
    """torchvision's own files contain auxiliary heads (mlverse/torchvision#375)."""
    torch.manual_seed(1)
    full = getattr(torchvision.models, arch)(init_weights=False)
    torch.save(full.state_dict(), tmp_path / "x.pth")
    model = transfer(arch=arch, size=75)
    text = load_initial_weights(model, read_weights(tmp_path / "x.pth"), CLASSES)
    own, expected = model.network.state_dict(), full.state_dict()
    assert all(torch.equal(own[name], expected[name]) for name in own if "fc" not in name)
    assert "all but network.fc.weight, network.fc.bias; not used from the file: " in text
    assert " aux1." in text or " AuxLogits." in text


def test_too_small_images_are_refused_with_a_size():
    message = "inception_v3 takes images of 75 pixels or more, not of 32; set data.image_size, for "
    with pytest.raises(ConfigError, match=f"{message}example to 299"):
        transfer(arch="inception_v3")
    for arch, size, native in (("vit_b_32", 100, 224), ("maxvit_t", 300, 224)):
        divisor = {"vit_b_32": 32, "maxvit_t": 224}[arch]
        message = f"{arch} takes images of multiples of {divisor} pixels, not of {size}; "
        with pytest.raises(ConfigError, match=f"{message}.* example to {native}"):
            transfer(arch=arch, size=size)


@pytest.mark.parametrize(
    "arch",
    "alexnet convnext_tiny maxvit_t mobilenet_v3_small squeezenet1_1 swin_v2_t vit_b_32".split(),
)
def test_families_take_their_smallest_images_and_have_a_last_layer(arch):
    """engine/tools/check_architectures.py trains and exports all networks."""
    sizes = image_sizes(arch)
    with torch.device("meta"):
        model = transfer(arch=arch, size=sizes.min)
        images = torch.zeros(2, 3, max(8, sizes.min), max(8, sizes.min))
        assert model.train()(images).shape == (2, 4)
    head = model.network.get_submodule(model.head_name)
    assert head.weight.shape[0] == 4


def test_network_that_checks_the_version_of_weights_is_loaded_again():
    """MNASNet refuses a state dict without the version of its class, as checkpoints are."""
    first, second = transfer(arch="mnasnet0_5"), transfer(arch="mnasnet0_5")
    second.load_state_dict({**first.state_dict()})
    assert torch.equal(first.network.layers[0].weight, second.network.layers[0].weight)


def test_running_statistics_follow_the_images_within_an_epoch():
    """MNASNet's momentum of 0.0003 would take thousands of steps."""
    assert transfer(arch="mnasnet0_5").network.layers[1].momentum == 0.1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("features.denseblock1.denselayer1.norm.1.weight", "denselayer1.norm1.weight"),
        ("features.denseblock4.denselayer16.conv.2.weight", "denselayer16.conv2.weight"),
        ("encoder.layers.encoder_layer_0.mlp.linear_1.bias", "mlp.0.bias"),
        ("module.encoder.layers.encoder_layer_0.mlp.linear_2.weight", "mlp.3.weight"),
        ("layer1.0.conv1.weight", "layer1.0.conv1.weight"),
    ],
)
def test_old_names_in_files_of_torchvision(old, new):
    assert current_name(old).endswith(new)


@pytest.mark.parametrize("size", [4, 7, 12])
def test_positions_of_a_vision_transformer_are_resized_as_torchvision_does(size):
    positions = torch.rand(1, 1 + 7 * 7, 6)
    expected = interpolate_embeddings(size, 1, {"encoder.pos_embedding": positions})
    resized = resize_positions(positions, 1 + size * size)
    assert torch.allclose(resized, expected["encoder.pos_embedding"])
    assert torch.equal(resize_positions(positions[:, 1:], 50), positions[:, 1:]), "no class token"


@pytest.mark.usefixtures("few_digits")
def test_googlenet_trains(tmp_path):
    network = ("model.arch=googlenet", "train.batch_size=64", "data.validation_fraction=0.9")
    run = RunForTests(tmp_path, *TRANSFER, *network).train()
    assert run.live_state.status == "done"
    assert run.live_state.test is not None


def test_frozen_layers_are_not_trained_and_stay_in_eval_mode(weights_file):
    model = transfer(weights=str(weights_file), freeze=True)
    weights = FlatParameters(model, torch.bfloat16)
    trained = weights.by_name(weights.flat)
    assert {name.rpartition(".")[2]: tensor.shape for name, tensor in trained.items()} == {
        "weight": (4, 512),
        "bias": (4,),
    }
    assert weights.state_dict()["network.conv1.weight"].dtype == torch.float32
    model.train()
    assert not model.network.bn1.training
    assert model.network.fc.training
