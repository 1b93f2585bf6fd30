"""Networks for one's own images: residual, torchvision's with weights from a file, one's own."""

import copy
import os
import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy
from torchvision.models import resnet18, shufflenet_v2_x0_5

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import Place
from cnn_engine.config.presets import load_config
from cnn_engine.config.schema import ModelConfig
from cnn_engine.data.dataset import load_dataset
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.models.build import build_model, count_parameters
from cnn_engine.models.torchvision_model import TorchvisionModel
from cnn_engine.runlog.events import CheckpointSaved, Notice, RunPrepared
from cnn_engine.session.engine import Engine
from cnn_engine.training.control import Control
from cnn_engine.training.flat_parameters import Weights
from cnn_engine.training.trainer import Training
from runs_for_tests import RunForTests
from terminal import cnn_tui

CPU = torch.device("cpu")

RESNET = ("model.name=resnet", "model.filters=[8, 16]", "train.batch_size=256")


def resnet(size, **changes):
    config = ModelConfig(**{"name": "resnet", "filters": (4, 8, 16)} | changes)
    return build_model(config, 3, size, 5).eval()


@pytest.mark.parametrize(("size", "side"), [(8, 8), (32, 32), (64, 64), (96, 48), (224, 56)])
def test_a_resnet_takes_images_of_any_size_and_halves_large_ones_first(size, side):
    model = resnet(size)
    images = torch.randn(2, 3, size, size)
    assert model.stem(images).shape == (2, 4, side, side)
    assert model(images).shape == (2, 5)
    assert count_parameters(model) == count_parameters(resnet(32))


def test_a_resnet_is_as_deep_as_asked_and_its_blocks_begin_as_the_identity():
    model = resnet(16, blocks=3)
    assert [len(stage) for stage in model.stages] == [3, 3, 3]
    maps = torch.rand(1, 4, 16, 16)
    assert torch.equal(model.stages[0](maps), maps)


@pytest.mark.parametrize("name", ["cnn", "resnet"])
def test_images_too_small_for_the_network_are_refused_with_what_to_do(name):
    with pytest.raises(ConfigError, match=r"model\.filters: 5 are too many for images of 16"):
        build_model(ModelConfig(name=name, filters=(4,) * 5), 3, 16, 5)


def weights_in(directory):
    return checkpoint.load(directory.path / "last.pt", CPU)["model"]


def stop_in_mid_epoch(run):
    """Stop the run by a command once it has saved within its second epoch."""
    run.recorder.record, record = (
        lambda event: (
            record(event),
            isinstance(event, CheckpointSaved)
            and event.reason == "last"
            and event.epoch == 2
            and run.ask("stop"),
        ),
        run.recorder.record,
    )
    run.train()
    assert run.live_state.status == "stopped"


def test_a_resnet_that_was_stopped_goes_on_bit_for_bit(tmp_path):
    short = (*RESNET, "train.epochs=3", "train.checkpoint_seconds=1e-9")
    whole = RunForTests(tmp_path, *short).train()
    broken = RunForTests(tmp_path, *short)
    stop_in_mid_epoch(broken)
    broken.resume()
    assert broken.live_state.status == "done"
    expected, found = weights_in(whole.directory), weights_in(broken.directory)
    assert expected.keys() == found.keys()
    assert any(name.endswith("running_var") for name in found)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert [epoch.val_loss for epoch in whole.live_state.epochs] == [
        epoch.val_loss for epoch in broken.live_state.epochs
    ]


def with_old_names(content):
    """Return a checkpoint's content with the names that a resnet's weights had at first."""
    if not isinstance(content, dict):
        return content
    return {
        key.replace(".residual.", ".way.").replace(".shortcut.", ".past."): with_old_names(value)
        for key, value in content.items()
    }


def test_checkpoints_with_old_weight_names_resume_and_load(tmp_path):
    settings = (*RESNET, "train.epochs=2", "average.kind=ema")
    current, old = (RunForTests(tmp_path, *settings) for _ in range(2))
    for run in (current, old):
        run.train()
    for name in ("last.pt", "best.pt"):
        path = old.directory.path / name
        content = with_old_names(checkpoint.load(path, CPU))
        assert any(".way." in key for key in content["model"])
        place = Place(content["epoch"] + 1, 0)
        checkpoint.save(path, content, place)
    logits = [
        load_trained_model(run.directory).logits(torch.ones(3, 8, 8, 1, dtype=torch.uint8))
        for run in (current, old)
    ]
    assert torch.equal(*logits)
    for run in (current, old):
        run.resume(epochs=3)
        assert run.live_state.status == "done"
    expected, found = weights_in(current.directory), weights_in(old.directory)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_state_dicts_with_old_weight_names_load():
    model, other = resnet(16), resnet(16)
    other.load_state_dict(with_old_names(model.state_dict()))
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(model(images), other(images))


# Torchvision's.


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """Weights of a resnet18 for a thousand classes, as torchvision's files hold them."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18(weights=None).state_dict(), path)
    return path


TRANSFER = (
    "model.name=torchvision",
    "model.arch=resnet18",
    "data.channels=3",
    "data.image_size=16",
    "train.batch_size=256",
    "train.epochs=1",
)


def test_only_the_new_last_layer_of_a_frozen_network_is_trained(tmp_path, weights_file):
    run = RunForTests(
        tmp_path, *TRANSFER, f"model.weights='{weights_file}'", "model.freeze=true"
    ).train()
    assert run.live_state.status == "done"
    (prepared,) = (event for event in run.events() if isinstance(event, RunPrepared))
    assert prepared.parameters == 512 * 10 + 10
    before, after = torch.load(weights_file, weights_only=True), weights_in(run.directory)
    kept = [name for name in before if not name.startswith("fc.")]
    assert all(torch.equal(before[name], after[f"network.{name}"]) for name in kept)
    assert after["network.fc.weight"].shape == (10, 512)
    assert any(
        "data.mean = [0.485" in event.text for event in run.events() if isinstance(event, Notice)
    )
    trained = load_trained_model(run.directory)
    assert trained.logits(torch.zeros(2, 16, 16, 3, dtype=torch.uint8)).shape == (2, 10)


def test_a_resumed_run_needs_its_weights_file_no_more(tmp_path):
    file = tmp_path / "mine.pth"
    torch.save(shufflenet_v2_x0_5(weights=None).state_dict(), file)
    small = ("model.arch=shufflenet_v2_x0_5", "model.freeze=true", f"model.weights='{file}'")
    run = RunForTests(tmp_path / "runs", *TRANSFER, *small).train()
    file.unlink()
    run.resume(epochs=2)
    assert run.live_state.status == "done"
    assert len(run.live_state.epochs) == 2


def transfer(**changes):
    config = ModelConfig(**{"name": "torchvision", "arch": "resnet18"} | changes)
    return build_model(config, 3, 32, 4)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_weights_within_what_a_training_program_saved_are_found(tmp_path, weights_file, key):
    state = torch.load(weights_file, weights_only=True)
    torch.save({key: state, "epoch": 3}, tmp_path / "x.pth")
    model = transfer()
    model.load_pretrained(str(tmp_path / "x.pth"))
    assert torch.equal(model.network.conv1.weight, state["conv1.weight"])


def test_weights_of_another_network_are_explained(tmp_path, weights_file):
    with pytest.raises(
        ConfigError, match=r"of another network than model\.arch names: .* not in it"
    ):
        transfer(arch="resnet34").load_pretrained(str(weights_file))
    with pytest.raises(ConfigError, match=r"model\.weights: nowhere\.pth is no file; download one"):
        transfer().load_pretrained("nowhere.pth")


class Canary:
    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.system, (f"touch {self._path}",)


@pytest.mark.parametrize("content", [b"", b"text", "pickle", {"a": 1}, [1, 2]])
def test_a_file_that_holds_something_else_is_refused_and_nothing_in_it_is_run(tmp_path, content):
    path, canary = tmp_path / "x.pth", tmp_path / "canary"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save({"state_dict": Canary(canary)} if content == "pickle" else content, path)
    with pytest.raises(DataError, match=r"x\.pth: ") as error:
        transfer().load_pretrained(str(path))
    assert not canary.exists()
    assert "weights_only" not in str(error.value)


def test_an_unknown_network_and_grey_images_are_explained():
    with pytest.raises(ConfigError, match=r"has no 'resnet81'; did you mean 'resnet18'"):
        transfer(arch="resnet81")
    with pytest.raises(ConfigError, match=r"data\.channels: torchvision's networks take RGB"):
        build_model(ModelConfig(name="torchvision", arch="resnet18"), 1, 32, 4)


@pytest.mark.parametrize("arch", ["vgg11", "squeezenet1_1", "mobilenet_v3_small", "vit_b_16"])
def test_the_last_layer_of_other_kinds_of_networks_is_found(arch):
    with torch.device("meta"):
        model = transfer(arch=arch)
    assert isinstance(model, TorchvisionModel)
    head = model.network.get_submodule(model.head_name)
    assert head.weight.shape[0] == 4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.name=resnet18"],
            "is not one of 'cnn', 'resnet', 'whitened', 'torchvision'.*did you mean 'resnet'",
        ),
        (["model.name='a b:C'"], "is not written as module:Class"),
        (
            ["model.arch=resnet18"],
            r"model\.arch: is only for name = \"torchvision\", not for 'cnn'",
        ),
        (
            ["model.name=torchvision"],
            r"model\.arch: is required for name = .torchvision.: .* such as resnet18",
        ),
        (["model.name=torchvision", "model.arch=x", "model.freeze=true"], r"model\.freeze: keeps"),
        (["model.options.width=3"], r"model\.options: is only for your own network"),
    ],
)
def test_settings_that_do_not_belong_together_are_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config("digits", overrides)


def test_what_is_frozen_is_no_weight_and_stays_in_evaluation_mode(weights_file):
    model = transfer(weights=str(weights_file), freeze=True)
    weights = Weights(model, torch.bfloat16)
    learned = weights.by_name(weights.flat)
    assert {name.rpartition(".")[2]: each.shape for name, each in learned.items()} == {
        "weight": (4, 512),
        "bias": (4,),
    }
    assert weights.state_dict()["network.conv1.weight"].dtype == torch.float32
    model.train()
    assert not model.network.bn1.training
    assert model.network.fc.training


# One's own.

OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, *, channels, image_size, class_count, width=4):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(width * (image_size - 2) ** 2, class_count),
        )
    def forward(self, images):
        return self.layers(images)

class Fails(Net):
    def __init__(self, **_):
        raise RuntimeError("no such luck")

class Wrong(Net):
    def forward(self, images):
        return super().forward(images)[:, :3]

class Tuple(Net):
    def forward(self, images):
        return super().forward(images), 1

class Lazy(Net):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.more = nn.LazyLinear(3)

class Lone(Net):
    def forward(self, images):
        raise ValueError("not\\nthese")

def Function(**_):
    return 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A directory that holds `mynet.py`, and is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mynet", raising=False)
    (tmp_path / "mynet.py").write_text(OWN)
    yield tmp_path
    sys.modules.pop("mynet", None)


def test_ones_own_network_trains_resumes_and_is_used(own):
    run = RunForTests(
        own / "runs", "model.name='mynet:Net'", "model.options.width=6", "train.epochs=1"
    )
    run.train()
    assert run.live_state.status == "done"
    assert weights_in(run.directory)["layers.0.weight"].shape[0] == 6
    run.engine = Engine.resume(run.directory, 2, allow_code=True)
    run.engine.start()
    run.engine.join()
    assert run.engine.exit_code == 0
    trained = load_trained_model(run.directory, allow_code=True)
    assert trained.logits(torch.zeros(1, 8, 8, 1, dtype=torch.uint8)).shape == (1, 10)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mynet:Nothing", "AttributeError: module 'mynet' has no attribute 'Nothing'"),
        ("nowhere:Net", "ModuleNotFoundError: No module named 'nowhere'"),
        ("mynet:Fails", "RuntimeError: no such luck"),
        ("mynet:Lone", "fails on 63 images of 1×8×8: ValueError: not these"),
    ],
)
def test_what_ones_own_network_raises_is_one_line_and_a_traceback_in_the_console_log(
    own, name, message
):
    run = RunForTests(own / "runs", f"model.name='{name}'").train()
    finished = run.live_state.finished
    assert (finished.status, finished.exit_code) == ("failed", 2)
    assert message in finished.error
    assert "\n" not in finished.error
    assert str(run.directory.console) in finished.error
    assert "Traceback" in run.directory.console.read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mynet:Function", "returns a int, not a torch.nn.Module"),
        ("mynet:Lazy", "has lazy layers"),
        ("mynet:Wrong", r"returns logits of shape \[63, 3\] for 63 images and 10 classes"),
        ("mynet:Tuple", "returns a tuple, not a tensor"),
    ],
)
def test_a_network_that_gives_something_else_than_scores_is_explained(own, name, message):
    run = RunForTests(own / "runs", f"model.name='{name}'").train()
    assert run.live_state.finished.exit_code == 2
    assert re.search(message, run.live_state.finished.error)


def test_a_run_from_someone_else_imports_nothing_unless_that_is_allowed(own, here):
    run = RunForTests(own / "runs", "model.name='mynet:Net'", "train.epochs=1").train()
    (own / "mynet.py").write_text(f"open({str(own / 'canary')!r}, 'w').close()\n{OWN}")
    Image.new("L", (8, 8)).save(own / "x.png")
    log = run.directory.events.read_bytes()
    for command in (
        ("resume", "latest", "--epochs", "2", "--no-ui"),
        ("run", "--like", "latest", "--no-ui"),
        ("test", "latest"),
        ("predict", "latest", "x.png"),
        ("export", "latest", "--to", "safetensors"),
    ):
        sys.modules.pop("mynet", None)
        code, _, errors = here(*command, cwd=own)
        assert code == 2, errors
        assert "'mynet:Net'" in errors
        assert "add --allow-code" in errors
        assert not (own / "canary").exists(), command
    for command in (("show",), ("runs",), ("watch", "--no-ui")):
        assert cnn_tui(*command, cwd=own).returncode == 0
        assert not (own / "canary").exists(), command
    assert run.directory.events.read_bytes() == log
    assert here("predict", "latest", "x.png", "--allow-code", cwd=own)[0] == 0
    assert (own / "canary").exists()
    resumed = cnn_tui("resume", "latest", "--epochs", "2", "--no-ui", "--allow-code", cwd=own)
    assert resumed.returncode == 0, resumed.stderr


# Class weights.


def test_balanced_weights_are_scikit_learns(tmp_path):
    run = RunForTests(tmp_path, "train.class_weights=balanced", "train.precision=fp32")
    config = run.engine._request.config
    data = load_dataset(config.data, 0, lambda *_: None)
    training = Training(config, data, run.recorder, Control(run.recorder))
    learner = training.learner
    labels = data.labels[data.train].numpy()
    expected = compute_class_weight("balanced", classes=np.arange(10), y=labels)
    assert learner.class_weights.tolist() == pytest.approx(expected.tolist())
    images, truth = next(training.batches.batches(data.train[:64], 64))
    same = copy.deepcopy(learner.model)
    torch.manual_seed(3)  # of the dropout
    each = cross_entropy(same(images), truth, reduction="none")
    weight = learner.class_weights[truth]
    ((each * weight).sum() / weight.sum()).backward()
    torch.manual_seed(3)
    _, told = learner.train_step(images, truth)
    gradients = learner.weights.by_name(learner.weights.flat.grad)
    for name, parameter in same.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)
    assert told.item() == pytest.approx(each.mean().item(), rel=1e-5)  # comparable to validation's
