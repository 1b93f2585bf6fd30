"""Background processes: detaching, killing, locking and resuming."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from cnn_engine.errors import RunHeldError
from cnn_engine.runlog import events
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import HandedOver, Recorder
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.session.background import start_in_background
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_engine.storage.locks import is_locked
from cnn_engine.training.control import Control
from runs_for_tests import SMALL, RunForTests, events_of, wait_until
from terminal import environment

LONG = "train.epochs=100000"


@pytest.fixture(autouse=True)
def child_import_path(monkeypatch):
    """Let processes that the engine starts import what the tests import."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])


@contextmanager
def background(run):
    """Start the background process of a run as a child, and kill it at the end."""
    command = [sys.executable, "-m", "cnn_engine.session.background", str(run.path)]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def stopped_run(runs_dir, *overrides):
    """Return a run that is stopped before its first step."""
    run = RunForTests(runs_dir, *overrides)
    run.send("stop")
    run.train()
    return run.directory


def test_background_run_trains_to_its_end(tmp_path):
    run = create_run(tmp_path)
    start_in_background(
        Request.from_preset("digits", [*SMALL, "train.epochs=2"], name="baseline"), run
    )
    assert is_locked(run.events)  # never unlocked in between
    assert read_state(run)[0].started.name == "baseline"
    wait_until(lambda: read_summary(run).status == "done")
    wait_until(lambda: not is_locked(run.events))
    state, damaged = read_state(run)
    assert (damaged, len(state.epochs)) == (0, 2)
    assert state.resumed.pid != state.started.pid == os.getpid()
    assert (state.resumed.file, state.markers[0].kind) == ("", "best")


@pytest.fixture
def continued_here(monkeypatch):
    """Let detached runs continue in another engine of this process, which needs no time to start.

    Tests of processes are above and below.
    """
    engines = []

    def spawn(run, handed_over, _device):
        log = os.dup(handed_over.log)  # as inherited: the run stays locked
        engine = Engine.resume(run, handed_over=HandedOver(log, handed_over.commands_read))
        engines.append(engine)
        engine.start()

    monkeypatch.setattr("cnn_engine.session.engine.spawn", spawn)
    yield
    for engine in engines:
        engine.join()


def send_after(monkeypatch, run, checks, name):
    """Send a command in call number `checks` of `Control.check`, which each step makes."""
    real, calls = Control.check, 0

    def check_and_send(control):
        nonlocal calls
        calls += 1
        if calls == checks:
            run.send(name)
        real(control)

    monkeypatch.setattr(Control, "check", check_and_send)
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)


def test_detached_run_continues_bitwise_equal(tmp_path, monkeypatch):
    uninterrupted = RunForTests(tmp_path, "train.epochs=3").train().live_state
    run = RunForTests(tmp_path, "train.epochs=3")
    send_after(monkeypatch, run, 25, "detach")
    run.train()
    assert (run.live_state.phase, run.engine.exit_code) == ("detached", 0)
    assert is_locked(run.directory.events)
    with pytest.raises(RunHeldError):
        Engine.resume(run.directory)
    assert not run.live_state.has_ended
    wait_until(lambda: read_state(run.directory)[0].status == "done")
    state, damaged = read_state(run.directory)
    assert damaged == 0
    expected, results = (
        [(epoch.epoch, epoch.train_loss, epoch.val_loss, epoch.correct) for epoch in source.epochs]
        for source in (uninterrupted, state)
    )
    assert results == expected
    assert (state.test.loss, state.test.correct) == (
        uninterrupted.test.loss,
        uninterrupted.test.correct,
    )
    assert state.prepared.differences == ()
    assert state.resumed.pid != os.getpid()
    assert (state.resumed.epoch, state.resumed.step) == (2, 6)
    assert run.directory.console.read_text() == ""


@pytest.mark.usefixtures("continued_here")
def test_run_detached_before_training_starts_in_the_background(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1")
    run.send("detach")
    run.train()
    assert run.live_state.phase == "detached"
    wait_until(lambda: read_state(run.directory)[0].status == "done")
    assert read_state(run.directory)[0].resumed.file == ""


@pytest.mark.usefixtures("continued_here")
def test_stop_after_epoch_survives_detach(tmp_path):
    run = RunForTests(tmp_path, LONG)
    run.send("stop-epoch")
    run.send("detach")
    run.train()
    wait_until(lambda: read_state(run.directory)[0].status == "stopped")
    assert len(read_state(run.directory)[0].epochs) == 1


def test_detached_run_without_a_process_is_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.session.engine.spawn", lambda *_: None)
    run = RunForTests(tmp_path, "train.epochs=1")
    run.send("detach")
    run.train()
    assert read_summary(run.directory).status == "interrupted"


def test_failure_to_start_the_background_process_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    run = RunForTests(tmp_path, "train.epochs=1")
    run.send("detach")
    run.engine.start()
    with pytest.raises(Exception, match="the background process could not be started: No such"):
        run.engine.join()
    assert run.engine.exit_code == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signal_stops_with_a_checkpoint_and_sighup_is_ignored(tmp_path, number):
    """A batch system also signals detached runs (Lightning#1455)."""
    run = stopped_run(tmp_path, LONG)
    with background(run) as process:
        wait_until(lambda: read_state(run)[0].epochs)
        process.send_signal(signal.SIGHUP)
        before = len(read_state(run)[0].epochs)
        wait_until(lambda: len(read_state(run)[0].epochs) > before + 1)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    assert read_state(run)[0].status == "stopped"
    assert events_of(run, events.CheckpointSaved)[-1].reason == "last"


def test_killed_run_can_be_resumed_and_a_running_one_cannot(tmp_path):
    run = stopped_run(tmp_path, LONG, "train.checkpoint_seconds=0.05")
    with background(run) as process:
        wait_until(lambda: events_of(run, events.CheckpointSaved))
        with background(run) as second:
            assert second.wait(60) == 5
            errors = second.stderr.read()
        assert errors == (
            f"run {run.id}: process {process.pid} on {os.uname().nodename} is training it; "
            f"to watch it: cnn-tui watch {run.id} --runs-dir {tmp_path}\n"
        )
        process.kill()
    engine = Engine.resume(run)
    send(run.commands, Command(name="stop-epoch", by="cli"))
    engine.start()
    engine.join()
    state, _ = read_state(run)
    assert state.status == "stopped"
    uninterrupted = RunForTests(tmp_path, f"train.epochs={len(state.epochs)}").train().live_state
    assert [epoch.val_loss for epoch in state.epochs] == [
        epoch.val_loss for epoch in uninterrupted.epochs
    ]


def test_log_can_be_locked_while_another_process_checks_the_lock(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.runlog.log.LOOK_SECONDS", 30.0)
    run = create_run(tmp_path)
    Recorder(run).close()
    checker = os.open(run.events, os.O_RDONLY)
    fcntl.flock(checker, fcntl.LOCK_SH)  # as `is_locked` does for a moment
    end = threading.Timer(0.1, os.close, [checker])
    end.start()
    Recorder(run).close()
    end.join()


def test_resume_ignores_an_earlier_detach(tmp_path, monkeypatch):
    spawned = []
    monkeypatch.setattr("cnn_engine.session.engine.spawn", lambda run, *_: spawned.append(run))
    run = RunForTests(tmp_path, "train.epochs=1")
    send(run.directory.commands, Command(name="detach", by="key"))
    run.train()
    run.resume()
    assert (run.live_state.status, len(spawned)) == ("done", 1)


@pytest.mark.usefixtures("continued_here")
def test_command_after_detach_is_applied_in_the_background(tmp_path, monkeypatch):
    run = RunForTests(tmp_path, LONG)
    real = Control._resend

    def resend(control, detach):
        run.send("stop")  # arrives after the engine has read the commands
        real(control, detach)

    monkeypatch.setattr(Control, "_resend", resend)
    run.send("detach")
    run.train()
    assert run.live_state.phase == "detached"
    wait_until(lambda: read_summary(run.directory).status == "stopped")
    wait_until(lambda: not is_locked(run.directory.events))
    state, _ = read_state(run.directory)
    assert [event.command for event in state.commands] == ["detach", "stop"]
    assert state.resumed is not None


def test_stop_goes_before_a_detach_that_arrives_with_it(tmp_path):
    run = RunForTests(tmp_path, LONG)
    run.send("detach")
    run.send("stop")
    run.train()
    assert run.live_state.status == "stopped"


@pytest.mark.usefixtures("continued_here")
def test_command_that_waits_for_training_survives_detach(tmp_path):
    run = RunForTests(tmp_path, LONG)
    run.send("epochs", 2)  # before training has started
    run.send("detach")
    run.train()
    assert run.live_state.phase == "detached"
    wait_until(lambda: read_summary(run.directory).status == "done")
    wait_until(lambda: not is_locked(run.directory.events))
    assert len(read_state(run.directory)[0].epochs) == 2
