"""Models from the user's own modules."""

import re
import sys

import pytest
import torch
from PIL import Image

from cnn_engine.inference.trained import load_trained_model
from cnn_engine.runlog import events
from cnn_engine.session.engine import Engine
from runs_for_tests import RunForTests, last_weights

CPU = torch.device("cpu")


CODE = """
import os
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

class WrongShape(Net):
    def forward(self, images):
        return super().forward(images)[:, :3]

class Tuple(Net):
    def forward(self, images):
        return super().forward(images), 1

class Lazy(Net):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.more = nn.LazyLinear(3)

class FailsInForward(Net):
    def forward(self, images):
        raise ValueError("not\\nthese")

class FailsLater(Net):
    steps = 0
    def forward(self, images):
        FailsLater.steps += self.training
        if FailsLater.steps > 3:
            raise RuntimeError("not\\nnow")
        return super().forward(images)

class FailsInBackward(Net):
    def forward(self, images):
        with torch.no_grad():
            weights = torch.ones(1)
        weights.requires_grad_()
        values = (super().forward(images) * weights).exp()
        if torch.is_grad_enabled():
            values.add_(1)
        return values

class EndsTheProcess(Net):
    steps = 0
    def forward(self, images):
        EndsTheProcess.steps += self.training
        if EndsTheProcess.steps > 3:
            os._exit(0)
        return super().forward(images)

class NoParameters(nn.Module):
    def __init__(self, *, class_count, **_):
        super().__init__()
        self.class_count = class_count
    def forward(self, images):
        return images.flatten(1)[:, : self.class_count]

class Frozen(Net):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.requires_grad_(False)

def Function(**_):
    return 3
"""


@pytest.fixture
def user_dir(tmp_path, write_module):
    """Make a directory with `mynet.py` the working directory; return its path."""
    write_module("mynet", CODE)
    return tmp_path


def test_user_model_trains_resumes_and_predicts(user_dir):
    run = RunForTests(
        user_dir / "runs", "model.name='mynet:Net'", "model.options.width=6", "train.epochs=1"
    )
    run.train()
    assert run.live_state.status == "done"
    assert last_weights(run.directory)["layers.0.weight"].shape[0] == 6
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
        ("mynet:FailsInForward", "fails on 63 images of 1×8×8: ValueError: not these"),
    ],
)
def test_exception_of_a_user_model_is_one_line_with_a_traceback_in_console_log(
    user_dir, name, message
):
    run = RunForTests(user_dir / "runs", f"model.name='{name}'").train()
    finished = run.live_state.finished
    assert (finished.status, finished.exit_code) == ("failed", 2)
    assert message in finished.error
    assert "\n" not in finished.error
    assert str(run.directory.console) in finished.error
    assert "Traceback" in run.directory.console.read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mynet:FailsLater", "RuntimeError: not now"),
        ("mynet:FailsInBackward", "RuntimeError: one of the variables needed for gradient"),
    ],
)
def test_exception_in_training_names_the_user_model(user_dir, name, message):
    run = RunForTests(user_dir / "runs", f"model.name='{name}'").train()
    finished = run.live_state.finished
    assert (finished.status, finished.exit_code) == ("failed", 4)
    assert finished.error.startswith(f"model.name: {name} fails in training: {message}")
    assert finished.error.endswith(f"; see {run.directory.console}")
    assert "Traceback" in run.directory.console.read_text()


def test_user_model_that_ends_the_process_fails_the_run(user_dir):
    run = RunForTests(user_dir / "runs", "model.name='mynet:EndsTheProcess'").train()
    finished = run.live_state.finished
    assert (finished.status, finished.exit_code) == ("failed", 4)
    assert "SystemExit: 0 was raised by the network's own code" in finished.error


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mynet:NoParameters", "^model.name: mynet:NoParameters has no parameters to train$"),
        ("mynet:Frozen", "^model.name: mynet:Frozen has no parameters to train$"),
        ("mynet:Function", "returns a int, not a torch.nn.Module"),
        ("mynet:Lazy", "has lazy layers"),
        ("mynet:WrongShape", r"returns logits of shape \[63, 3\] for 63 images and 10 classes"),
        ("mynet:Tuple", "returns a tuple, not a tensor"),
    ],
)
def test_user_model_with_a_wrong_output_is_refused(user_dir, name, message):
    run = RunForTests(user_dir / "runs", f"model.name='{name}'").train()
    assert run.live_state.finished.exit_code == 2
    assert re.search(message, run.live_state.finished.error)


def test_user_model_is_imported_only_with_allow_code(user_dir, run_cli):
    run = RunForTests(user_dir / "runs", "model.name='mynet:Net'", "train.epochs=1").train()
    (user_dir / "mynet.py").write_text(f"open({str(user_dir / 'canary')!r}, 'w').close()\n{CODE}")
    Image.new("L", (8, 8)).save(user_dir / "x.png")
    log = run.directory.events.read_bytes()
    for command in (
        ("resume", "latest", "--epochs", "2", "--no-ui"),
        ("run", "--like", "latest", "--no-ui"),
        ("test", "latest"),
        ("predict", "latest", "x.png"),
        ("export", "latest", "--to", "safetensors"),
    ):
        sys.modules.pop("mynet", None)
        code, _, errors = run_cli(*command, cwd=user_dir)
        assert code == 2, errors
        assert "'mynet:Net'" in errors
        assert "add --allow-code" in errors
        assert not (user_dir / "canary").exists(), command
    for command in (("show",), ("runs",), ("watch", "--no-ui")):
        assert run_cli(*command, cwd=user_dir)[0] == 0
        assert not (user_dir / "canary").exists(), command
    assert run.directory.events.read_bytes() == log
    assert run_cli("predict", "latest", "x.png", "--allow-code", cwd=user_dir)[0] == 0
    assert (user_dir / "canary").exists()
    resume = ("resume", "latest", "--epochs", "2", "--no-ui", "--allow-code")
    code, _, errors = run_cli(*resume, cwd=user_dir)
    assert code == 0, errors


@pytest.mark.parametrize("error", ["KeyError('x')", "SystemExit(3)"])
def test_network_changed_after_training_fails_with_one_line(user_dir, write_module, error, run_cli):
    """An edited script that raises or exits is neither a traceback nor silence."""
    run = RunForTests(user_dir / "runs", "model.name='mynet:Net'", "train.epochs=1").train()
    assert run.engine.exit_code == 0
    raises = f"    def forward(self, images):\n        raise {error}\n"
    write_module("mynet", CODE.replace("    def forward(self, images):\n", raises, 1))
    Image.new("L", (8, 8)).save("a.png")
    for command in (["test", "latest"], ["predict", "latest", "a.png"]):
        code, _, err = run_cli(*command, "--allow-code", cwd=user_dir)
        assert code == 2
        assert err.startswith("cnn-tui: model.name: mynet:Net fails on a batch of one image")
        assert err.count("\n") == 1


EXITS = """

class ExitsWhenBuilt(Net):
    def __init__(self, **arguments):
        raise SystemExit(3)

class Exits(Net):
    def forward(self, images):
        if len(images) != 63:
            raise SystemExit("no licence")
        return super().forward(images)

class Interrupts(Net):
    def forward(self, images):
        if len(images) != 63:
            raise KeyboardInterrupt
        return super().forward(images)
"""


@pytest.mark.parametrize(
    ("name", "exit_code", "message"),
    [
        ("ExitsWhenBuilt", 2, "SystemExit: 3"),
        ("Exits", 4, "SystemExit: no licence was raised by the network's own code"),
        ("Interrupts", 4, "KeyboardInterrupt was raised by the network's own code"),
    ],
)
def test_network_that_exits_fails_the_run_with_a_message(user_dir, name, exit_code, message):
    (user_dir / "mynet.py").write_text(CODE + EXITS)
    run = RunForTests(user_dir / "runs", f"model.name='mynet:{name}'").train()
    finished = run.live_state.finished
    assert (finished.status, finished.exit_code) == ("failed", exit_code)
    assert message in finished.error
    assert str(run.directory.console) in finished.error
    assert "Traceback" in run.directory.console.read_text()


ENDINGS = """

class Ends(Net):
    ending = "softmax"
    def forward(self, images):
        logits = super().forward(images)
        match self.ending:
            case "relu":
                return logits.relu()
            case "sigmoid":
                return logits.sigmoid()
            case "tanh":
                return logits.tanh()
            case "log_softmax":
                return logits.log_softmax(1)
            case "softmax":
                return logits.softmax(1)
        return logits
"""


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("softmax", "ends in a softmax: its outputs are probabilities, each row sums to 1"),
        ("log_softmax", "ends in a log-softmax, which has no effect and can be removed"),
        ("sigmoid", "returns values between 0 and 1 only: if it ends in a sigmoid, remove it"),
        ("relu", "returns no negative value: if it ends in a ReLU, remove it"),
        ("none", ""),
        ("tanh", ""),
    ],
)
def test_network_that_ends_in_an_activation_is_reported_before_training(user_dir, ending, message):
    """Probabilities instead of logits are trained badly (rasbt/deeplearning-models#76)."""
    (user_dir / "mynet.py").write_text(CODE + ENDINGS.replace('"softmax"', f'"{ending}"', 1))
    run = RunForTests(user_dir / "runs", "model.name='mynet:Ends'", "train.epochs=1").train()
    assert run.live_state.status == "done"
    before_training = []
    for event in run.events():
        if isinstance(event, events.EpochStarted):
            break
        if isinstance(event, events.Notice):
            before_training.append(event.text)
    assert len(before_training) == bool(message)
    assert all(text.startswith(f"mynet:Ends {message}") for text in before_training)
    run.engine = Engine.resume(run.directory, 2, allow_code=True)
    run.train()
    assert sum(isinstance(event, events.Notice) for event in run.events()) == bool(message)
