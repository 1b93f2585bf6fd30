"""Runs in processes of their own: handed over, killed, held, and gone on with."""

import fcntl
import os
import signal
import subprocess
import sys
import threading

import pytest

from cnn_engine.errors import RunHeldError
from cnn_engine.runlog import events
from cnn_engine.runlog.log import LogReader, is_held
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.session.background import start_in_background
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_engine.training.control import Control
from runs_for_tests import SMALL, RunForTests, wait_until
from terminal import environment

LONG = "train.epochs=100000"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """A process that the engine starts imports what the tests import."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])


def background(run):
    """The background process of a run, as one that the test can wait for and signal."""
    command = [sys.executable, "-m", "cnn_engine.session.background", str(run.path)]
    return subprocess.Popen(
        command, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def prepared(runs_dir, *overrides):
    """A run that has a log, and no process yet."""
    run = RunForTests(runs_dir, *overrides)
    run.ask("stop")
    run.train()
    return run.directory


def events_of(run, kind):
    return [event for event in LogReader(run.events).poll() if isinstance(event, kind)]


def test_a_run_started_in_the_background_trains_to_its_end(tmp_path):
    run = create_run(tmp_path)
    start_in_background(Request.from_preset("digits", [*SMALL, "train.epochs=2"], name="mine"), run)
    assert is_held(run.events)  # from the very beginning, and at every moment
    assert read_state(run)[0].started.name == "mine"
    wait_until(lambda: read_summary(run).status == "done")
    wait_until(lambda: not is_held(run.events))
    state, damaged = read_state(run)
    assert (damaged, len(state.epochs)) == (0, 2)
    assert state.resumed.pid != state.started.pid == os.getpid()
    assert (state.resumed.file, state.markers[0].kind) == ("", "best")


def ask_after(patches, run, checks, name):
    """Ask the run for something when it has looked so many times, which is once a step."""
    real, calls = Control.check, 0

    def counted(control):
        nonlocal calls
        calls += 1
        if calls == checks:
            run.ask(name)
        real(control)

    patches.setattr(Control, "check", counted)
    patches.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)


def test_detached_a_run_goes_on_exactly_in_another_process(tmp_path, monkeypatch):
    whole = RunForTests(tmp_path, "train.epochs=3").train().live_state
    run = RunForTests(tmp_path, "train.epochs=3")
    ask_after(monkeypatch, run, 25, "detach")
    run.train()
    assert (run.live_state.phase, run.engine.exit_code) == ("detached", 0)
    assert is_held(run.directory.events)
    with pytest.raises(RunHeldError):
        Engine.resume(run.directory)
    assert not run.live_state.has_ended
    wait_until(lambda: read_state(run.directory)[0].status == "done")
    state, damaged = read_state(run.directory)
    assert damaged == 0
    figures = [
        [(epoch.epoch, epoch.train_loss, epoch.val_loss, epoch.correct) for epoch in each.epochs]
        for each in (whole, state)
    ]
    assert figures[0] == figures[1]
    assert (state.test.loss, state.test.correct) == (whole.test.loss, whole.test.correct)
    assert state.prepared.differences == ()
    assert state.resumed.pid != os.getpid()
    assert (state.resumed.epoch, state.resumed.step) == (2, 6)
    assert run.directory.console.read_text() == ""


def test_detached_before_it_trains_it_begins_in_the_background(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1")
    run.ask("detach")
    run.train()
    assert run.live_state.phase == "detached"
    wait_until(lambda: read_state(run.directory)[0].status == "done")
    assert read_state(run.directory)[0].resumed.file == ""


def test_to_stop_after_the_epoch_holds_in_the_background_too(tmp_path):
    run = RunForTests(tmp_path, LONG)
    run.ask("stop-epoch")
    run.ask("detach")
    run.train()
    wait_until(lambda: read_state(run.directory)[0].status == "stopped")
    assert len(read_state(run.directory)[0].epochs) == 1


def test_when_nobody_takes_a_detached_run_it_is_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.runs.recorder.spawn", lambda *_: None)
    run = RunForTests(tmp_path, "train.epochs=1")
    run.ask("detach")
    run.train()
    assert read_summary(run.directory).status == "interrupted"


def test_when_no_process_can_be_started_that_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    run = RunForTests(tmp_path, "train.epochs=1")
    run.ask("detach")
    run.engine.start()
    with pytest.raises(Exception, match="the background process could not be started: No such"):
        run.engine.join()
    assert run.engine.exit_code == 5


def test_a_signal_stops_it_with_a_checkpoint_and_a_lost_terminal_does_not(tmp_path):
    run = prepared(tmp_path, LONG)
    with background(run) as process:
        wait_until(lambda: read_state(run)[0].epochs)
        process.send_signal(signal.SIGHUP)
        done = len(read_state(run)[0].epochs)
        wait_until(lambda: len(read_state(run)[0].epochs) > done + 1)
        process.terminate()
        assert process.wait(60) == 143
    assert read_state(run)[0].status == "stopped"
    assert events_of(run, events.CheckpointSaved)[-1].reason == "last"


def test_killed_it_can_be_taken_over_at_once_and_before_that_not(tmp_path):
    run = prepared(tmp_path, LONG, "train.checkpoint_seconds=0.05")
    with background(run) as process:
        wait_until(lambda: events_of(run, events.CheckpointSaved))
        with background(run) as second:
            assert second.wait(60) == 5
            told = second.stderr.read()
        assert told == (
            f"run {run.id}: process {process.pid} on {os.uname().nodename} trains it; "
            f"to see it: cnn-tui watch {run.id}\n"
        )
        process.kill()
    engine = Engine.resume(run)
    send(run.commands, Command(name="stop-epoch", by="cli"))
    engine.start()
    engine.join()
    state, _ = read_state(run)
    assert state.status == "stopped"
    whole = RunForTests(tmp_path, f"train.epochs={len(state.epochs)}").train().live_state
    assert [epoch.val_loss for epoch in state.epochs] == [epoch.val_loss for epoch in whole.epochs]


def test_a_log_that_is_asked_about_can_still_be_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.runlog.log.HOLD_SECONDS", 30.0)
    run = create_run(tmp_path)
    Recorder(run).close()
    asker = os.open(run.events, os.O_RDONLY)
    fcntl.flock(asker, fcntl.LOCK_SH)  # as `is_held` does for a moment
    end = threading.Timer(0.1, os.close, [asker])
    end.start()
    Recorder(run).close()
    end.join()


def test_an_earlier_detach_is_not_done_again(tmp_path, monkeypatch):
    spawned = []
    monkeypatch.setattr("cnn_engine.runs.recorder.spawn", lambda run, *_: spawned.append(run))
    run = RunForTests(tmp_path, "train.epochs=1")
    send(run.directory.commands, Command(name="detach", by="key"))
    run.train()
    run.resume()
    assert (run.live_state.status, len(spawned)) == ("done", 1)


def test_what_is_asked_on_the_way_to_the_background_is_done_there(tmp_path):
    run = RunForTests(tmp_path, LONG)
    run.ask("detach")
    run.ask("stop")  # both are there when the engine first looks
    run.train()
    assert run.live_state.phase == "detached"
    wait_until(lambda: read_summary(run.directory).status == "stopped")
    wait_until(lambda: not is_held(run.directory.events))
    state, _ = read_state(run.directory)
    assert [done.command for done in state.commands] == ["detach", "stop"]
    assert state.resumed is not None


def test_what_waits_for_training_is_done_in_the_background(tmp_path):
    run = RunForTests(tmp_path, LONG)
    run.ask("epochs", 2)  # while there is nothing to change yet
    run.ask("detach")
    run.train()
    assert run.live_state.phase == "detached"
    wait_until(lambda: read_summary(run.directory).status == "done")
    wait_until(lambda: not is_held(run.directory.events))
    assert len(read_state(run.directory)[0].epochs) == 2
