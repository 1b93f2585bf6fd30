"""A run controlled from any shell, by real processes."""

import json
import os
import subprocess

import pytest

from cnn_engine.runlog import events
from cnn_engine.runs.commands import CommandReader
from cnn_engine.runs.recorder import Recorder
from cnn_tui.cli.control import pause
from fresh_interpreter import TORCH_SIDE, command, modules_after
from golden import add_events, golden_run, running_run
from runs_for_tests import RunForTests, wait_until
from terminal import CLI, cnn_tui, environment


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """A run in this process that does not end by itself."""
    run = RunForTests(tmp_path_factory.mktemp("work") / "runs", "train.epochs=100000")
    run.engine.start()
    wait_until(lambda: run.live_state.epoch > 1)
    yield run
    run.ask("stop")
    run.engine.join()


def told(run, *arguments, code=0):
    """What a command says of a run, on stdout where it was done, else on stderr."""
    result = cnn_tui(*arguments, cwd=run.directory.path.parents[1])
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return (result.stderr if code else result.stdout).strip()


def asked_of(run):
    return [(asked.name, asked.value) for asked in CommandReader(run.commands).poll()]


def test_a_run_is_paused_and_let_on_once(training):
    name = training.directory.id
    assert told(training, "unpause", name) == f"{name}: is not paused"
    assert told(training, "pause", name) == f"{name}: paused"
    assert training.live_state.paused
    assert told(training, "pause", "latest") == f"{name}: is paused already"
    assert told(training, "unpause", name) == f"{name}: going on"
    assert not training.live_state.paused
    asked = [command.command for command in training.live_state.commands]
    assert asked[-2:] == ["pause", "unpause"]


def test_values_are_set_and_told(training):
    name = training.directory.id
    lines = told(training, "set", name, "lr=3e-4", "epochs=90000").splitlines()
    assert lines == [f"{name}: learning rate 0.0003", f"{name}: epochs 90000"]
    assert training.live_state.lr == 0.0003
    assert training.live_state.total_epochs == 90000
    asked = asked_of(training.directory)
    lines = told(training, "set", name, "lr=0.0003", "epochs=90000").splitlines()
    assert lines == [f"{name}: learning rate 0.0003 already", f"{name}: epochs 90000 already"]
    assert asked_of(training.directory) == asked


def test_a_checkpoint_is_saved_before_it_is_told(training):
    text = told(training, "checkpoint", "latest")
    assert text.endswith("saved as last.pt")
    assert training.live_state.checkpoints


def test_what_the_engine_refuses_is_a_mistake(training):
    wait_until(lambda: training.live_state.epoch > 2)
    assert "must be a whole number" in told(training, "set", "latest", "epochs=1", code=2)


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        (["lr=fast"], ["lr=fast: A number is needed"]),
        (["lr=0"], ["It must be greater than 0"]),
        (["lr=inf"], ["It must be greater than 0 and finite"]),
        (["lr=nan"], ["It must be greater than 0 and finite"]),
        (["epochs=2.5"], ["A whole number is needed"]),
        (["epochs=0", "epochs=-1"], ["epochs=0: A whole", "epochs=-1: A whole"]),
        (["epoch=3"], ["did you mean 'epochs'"]),
        (["momentum=1"], ["there are lr, epochs"]),
        (["lr"], ["write it as KEY=VALUE"]),
        (["lr=1e-3", "epochs=many"], ["epochs=many: A whole number"]),
    ],
)
def test_values_are_checked_before_anything_is_asked(tmp_path, settings, texts):
    result = cnn_tui("set", "latest", *settings, cwd=tmp_path)
    assert result.returncode == 2
    for text in texts:
        assert text in result.stderr


def test_a_run_is_stopped_after_its_epoch_or_at_once(tmp_path):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000", "data.image_size=32")
    run.engine.start()
    wait_until(lambda: run.live_state.epoch > 0)
    run.ask("pause")
    text = told(run, "stop", "latest", "--after-epoch")
    assert text.endswith("stopping after this epoch")
    assert told(run, "stop", "latest", "--after-epoch").endswith("stops after this epoch already")
    assert told(run, "stop", "latest").endswith(": stopped")
    run.engine.join()
    assert run.live_state.status == "stopped"
    assert "is stopped: there is nobody to ask; go on with: cnn-tui resume" in told(
        run, "pause", "latest", code=2
    )


def test_of_a_run_that_nobody_trains_nothing_is_asked(tmp_path):
    done = golden_run(tmp_path / "runs", "completed")
    result = cnn_tui("stop", done.id, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == f"cnn-tui: {done.id} is done: there is nobody to ask\n"
    lost = here(running_run(tmp_path / "runs", 60, "1124-0500-lost"))
    result = cnn_tui("checkpoint", lost.id, cwd=tmp_path)
    assert result.returncode == 2
    assert f"{lost.id} is interrupted" in result.stderr
    assert f"cnn-tui resume {lost.id}" in result.stderr
    assert not done.commands.exists()
    assert not lost.commands.exists()


def here(run):
    """The run, as if it had been started on this machine."""
    first, *rest = run.events.read_text().splitlines()
    first = json.dumps(json.loads(first) | {"host": os.uname().nodename})
    run.events.write_text("\n".join([first, *rest]) + "\n")
    return run


def test_what_is_not_done_in_time_stays_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("cnn_tui.cli.control.WAIT_SECONDS", 0.2)
    run = running_run(tmp_path, 60)
    with Recorder(run):
        pause(run.id, tmp_path)
    assert "pause is asked for, and not done yet" in capsys.readouterr().err
    assert asked_of(run) == [("pause", None)]


def test_a_checkpoint_that_cannot_be_saved_is_a_failure_of_storage(tmp_path):
    run = running_run(tmp_path / "runs", 60)
    with (
        Recorder(run),
        subprocess.Popen(
            [*CLI, "checkpoint", "latest"],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        wait_until(lambda: run.commands.exists() and asked_of(run))
        text = "last.pt could not be saved: No space left on device; that of epoch 1 stands"
        add_events(run, events.CommandRefused(command="checkpoint", by="cli", text=text))
        said = process.stderr.read()
    assert process.returncode == 5
    assert said == f"cnn-tui: {text}\n"


def test_a_directory_that_cannot_be_written_says_so(tmp_path):
    run = running_run(tmp_path / "runs", 60)
    run.commands.mkdir()
    with Recorder(run):
        result = cnn_tui("pause", "latest", cwd=tmp_path)
    assert result.returncode == 5
    assert "commands.jsonl: cannot be written: Is a directory" in result.stderr


def test_nothing_is_imported_that_a_shell_would_wait_for(tmp_path):
    loaded = modules_after(command("pause", "latest"), tmp_path)
    assert "cnn_tui.cli.control" in loaded
    assert not loaded & (TORCH_SIDE | {"textual", "plotext"})
