"""Commands that control a run from another process."""

import os
import re
import subprocess

import pytest

from cnn_engine.errors import ConfigError, NoAnswerError, StorageError
from cnn_engine.runlog import events
from cnn_engine.runs.commands import Command, CommandReader, send
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session.background import resume_in_background
from cnn_engine.session.request import Request
from cnn_tui.cli import control
from cnn_tui.cli.control import set_values, stop
from fresh_interpreter import TORCH_SIDE, cli_code, loaded_modules
from golden import add_events, golden_run, running_run, set_local_host
from loops_for_tests import classifier, finished, gan, loop_run
from runs_for_tests import RunForTests, wait_until
from terminal import CLI, environment


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """Run of this process that trains until it is stopped."""
    run = RunForTests(tmp_path_factory.mktemp("work") / "runs", "train.epochs=100000")
    run.engine.start()
    wait_until(lambda: run.live_state.epoch > 1)
    yield run
    run.send("stop")
    run.engine.join()


@pytest.fixture
def output_of(run_cli):
    """Function that returns a command's stdout, or its stderr if it exits with a `code` but 0."""

    def output(run, *arguments, code=0):
        result = run_cli(*arguments, cwd=run.directory.path.parents[1])
        assert result.code == code, result.errors
        assert "Traceback" not in result.errors
        return (result.errors if code else result.out).strip()

    return output


def commands_of(run):
    return [(received.name, received.value) for received in CommandReader(run.commands).poll()]


def test_pause_and_unpause_are_sent_only_if_needed(training, output_of):
    name = training.directory.id
    assert output_of(training, "unpause", name) == f"{name}: not paused"
    assert output_of(training, "pause", name) == f"{name}: paused"
    assert training.live_state.paused
    assert output_of(training, "pause", "latest") == f"{name}: already paused"
    assert output_of(training, "unpause", name) == f"{name}: continuing"
    assert not training.live_state.paused
    applied = [event.command for event in training.live_state.commands]
    assert applied[-2:] == ["pause", "unpause"]


def test_set_sends_only_changed_values(training, output_of):
    name = training.directory.id
    lines = output_of(training, "set", name, "lr=3e-4", "epochs=90000").splitlines()
    assert lines == [f"{name}: learning rate 0.0003", f"{name}: epochs 90000"]
    assert training.live_state.lr == 0.0003
    assert training.live_state.total_epochs == 90000
    sent = commands_of(training.directory)
    lines = output_of(training, "set", name, "lr=0.0003", "epochs=90000").splitlines()
    assert lines == [f"{name}: learning rate is already 0.0003", f"{name}: epochs is already 90000"]
    assert commands_of(training.directory) == sent


def test_checkpoint_prints_the_saved_file(training, output_of):
    text = output_of(training, "checkpoint", "latest")
    assert text.endswith("saved as last.pt")
    assert training.live_state.checkpoints


def test_refused_value_exits_with_2(training, output_of):
    wait_until(lambda: training.live_state.epoch > 2)
    text = output_of(training, "set", "latest", "epochs=1", code=2)
    assert re.search(r"epochs 1: epoch \d+ has begun; set \d+ or more", text)


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        (["lr=fast"], ["lr=fast: Expected a number"]),
        (["lr=0"], ["must be greater than 0"]),
        (["lr=inf"], ["must be greater than 0 and finite"]),
        (["lr=nan"], ["must be greater than 0 and finite"]),
        (["epochs=2.5"], ["Expected a whole number"]),
        (["epochs=0", "epochs=-1"], ["epochs=0: Expected", "epochs=-1: Expected"]),
        (["epoch=3"], ["did you mean 'epochs'"]),
        (["momentum=1"], ["available: lr, epochs"]),
        (["lr"], ["expected KEY=VALUE"]),
        (["lr=1e-3", "epochs=many"], ["epochs=many: Expected a whole number"]),
    ],
)
def test_set_checks_all_values_before_sending_any(tmp_path, run_cli, settings, texts):
    code, _, errors = run_cli("set", "latest", *settings, cwd=tmp_path)
    assert code == 2
    for text in texts:
        assert text in errors


def test_stop_ends_after_the_epoch_or_immediately(tmp_path, output_of):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000", "data.image_size=32")
    run.engine.start()
    wait_until(lambda: run.live_state.epoch > 0)
    run.send("pause")
    text = output_of(run, "stop", "latest", "--after-epoch")
    assert text.endswith("stopping after this epoch")
    assert output_of(run, "stop", "latest", "--after-epoch").endswith(
        "already stopping after this epoch"
    )
    assert output_of(run, "stop", "latest", "--test").endswith("stopping after a test")
    run.engine.join()
    state = run.live_state
    assert (state.status, state.test.epoch) == ("stopped", 1)
    assert (state.paused, state.checkpoints[-1].file) == (False, "last.pt")
    assert "is stopped: it is not running; resume it with: cnn-tui resume" in output_of(
        run, "pause", "latest", code=2
    )


def test_ended_or_interrupted_run_gets_no_command(tmp_path, run_cli):
    finished = golden_run(tmp_path / "runs", "completed")
    code, _, errors = run_cli("stop", finished.id, cwd=tmp_path)
    assert code == 2
    assert errors == f"cnn-tui: {finished.id} is done: it is not running\n"
    interrupted = set_local_host(running_run(tmp_path / "runs", 60, "1124-0500-lost"))
    code, _, errors = run_cli("checkpoint", interrupted.id, cwd=tmp_path)
    assert code == 2
    assert f"{interrupted.id} is interrupted" in errors
    assert f"cnn-tui resume {interrupted.id}" in errors
    assert not finished.commands.exists()
    assert not interrupted.commands.exists()


@pytest.mark.parametrize("torn", [b"", b'{"name": "lr", "by": "cli", "val'])
def test_unanswered_command_has_an_exit_code_of_its_own(tmp_path, monkeypatch, run_cli, torn):
    """A line that a full disk cut off does not swallow the next command."""
    monkeypatch.setattr("cnn_tui.cli.control.WAIT_SECONDS", 0.2)
    run = running_run(tmp_path / "runs", 60)
    run.commands.write_bytes(torn)
    with Recorder(run):
        code, _, errors = run_cli("pause", run.id, cwd=tmp_path)
    assert code == 6
    assert "pause requested, no answer after" in errors
    assert commands_of(run) == [("pause", None)]


def test_partly_written_command_is_an_error_and_repaired_by_the_next(tmp_path, monkeypatch):
    run, real = running_run(tmp_path, 60), os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, content: real(descriptor, content[:7]))
        with pytest.raises(StorageError, match="No space left on device"):
            send(run.commands, Command(name="stop", by="cli"))
    send(run.commands, Command(name="pause", by="cli"))
    assert commands_of(run) == [("pause", None)]


def test_pipe_in_place_of_the_commands_is_refused(tmp_path):
    run = running_run(tmp_path, 60)
    os.mkfifo(run.commands)
    with pytest.raises(StorageError, match="is not a regular file"):
        send(run.commands, Command(name="stop", by="cli"))
    assert run.commands.is_fifo()


def test_link_in_place_of_the_commands_is_refused(tmp_path):
    run = running_run(tmp_path, 60)
    (tmp_path / "other").write_text("")
    run.commands.symlink_to(tmp_path / "other")
    with pytest.raises(StorageError, match="cannot be written: is a link"):
        send(run.commands, Command(name="stop", by="cli"))
    assert (tmp_path / "other").read_text() == ""


def test_commands_are_writable_by_their_owner_only(tmp_path):
    run = running_run(tmp_path, 60)
    previous = os.umask(0)
    try:
        send(run.commands, Command(name="pause", by="cli"))
    finally:
        os.umask(previous)
    assert run.commands.stat().st_mode & 0o777 == 0o644


def test_failed_checkpoint_exits_with_5(tmp_path):
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
        wait_until(lambda: run.commands.exists() and commands_of(run))
        text = "last.pt could not be saved: No space left on device; that of epoch 1 is kept"
        add_events(run, events.CommandRefused(command="checkpoint", by="cli", text=text))
        stderr = process.stderr.read()
    assert process.returncode == 5
    assert stderr == f"cnn-tui: {text}\n"


def test_unwritable_commands_exit_with_5(tmp_path, run_cli):
    run = running_run(tmp_path / "runs", 60)
    run.commands.mkdir()
    with Recorder(run):
        code, _, errors = run_cli("pause", "latest", cwd=tmp_path)
    assert code == 5
    assert "commands.jsonl: cannot be written: Is a directory" in errors


def test_control_imports_no_torch_and_no_textual(tmp_path):
    loaded = loaded_modules(cli_code("pause", "latest"), tmp_path)
    assert "cnn_tui.cli.control" in loaded
    assert not loaded & (TORCH_SIDE | {"textual", "plotext"})


def test_commands_that_another_loop_does_not_obey_are_refused(tmp_path):
    run = set_local_host(loop_run(tmp_path / "runs", classifier()))
    name = f"{run.path}"
    with Recorder(run):
        with pytest.raises(ConfigError, match="cannot change the learning rate; it can"):
            set_values(name, ["lr=0.01"])
        with pytest.raises(ConfigError, match="it can pause, stop, save a checkpoint"):
            stop(name, after_epoch=True)
    assert not run.commands.exists()
    own = set_local_host(loop_run(tmp_path / "runs", gan(), "own"))
    with Recorder(own):
        with pytest.raises(ConfigError, match=r"it needs run\.control\(opt"):
            set_values(f"{own.path}", ["lr=0.01"])
        with pytest.raises(ConfigError, match="cannot stop and test: its own program would have"):
            stop(f"{own.path}", test=True)


def test_checkpoint_of_another_loop_says_when_it_follows(tmp_path, monkeypatch):
    monkeypatch.setattr(control, "WAIT_SECONDS", 0.0)
    run = set_local_host(loop_run(tmp_path / "runs", gan()))
    paused = events.CommandApplied(command="pause", by="key")
    add_events(run, events.LoopDescribed(commands=("pause", "checkpoint")), paused)
    text = r"it follows after the pause, when the loop reads run\.should_save"
    with Recorder(run), pytest.raises(NoAnswerError, match=text):
        control.checkpoint(f"{run.path}")


def test_ended_run_of_another_loop_says_how_it_is_resumed(tmp_path):
    logged = finished(classifier(), status="stopped")
    run = loop_run(tmp_path / "runs", logged)
    hint = rf'run its own script again with cnn_tui\.init\(resume="{run.id}"\)'
    with pytest.raises(ConfigError, match=f"is stopped: it is not running; {hint}"):
        stop(f"{run.path}")
    with pytest.raises(ConfigError, match=f"another program trains it; {hint}"):
        resume_in_background(run)
    with pytest.raises(ConfigError, match="another program trains it: it has no config"):
        Request.from_run(run)
