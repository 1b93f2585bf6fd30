"""Detaching: from the dashboard, and with `--detach`."""

import signal
from contextlib import contextmanager

import pytest

from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.storage.locks import is_locked
from runs_for_tests import wait_until
from terminal import ENDLESS_RUN, SET_SMALL, Terminal, assert_restored, cnn_tui, text_after_exit
from terminal_runs import wait_for_epochs


@contextmanager
def stopped_at_exit(directory):
    """Yield the only run under `directory`, and stop it on exit."""
    (run,) = list_runs(directory / "runs")
    try:
        yield run
    finally:
        send(run.commands, Command(name="stop", by="cli"))
        wait_until(lambda: not is_locked(run.events))


def finished_epochs(run):
    return [
        event.epoch for event in LogReader(run.events).poll() if isinstance(event, EpochFinished)
    ]


def test_d_detaches_and_the_dashboard_stays(tmp_path):
    with Terminal(*ENDLESS_RUN, cwd=tmp_path) as terminal:
        before = terminal.settings
        terminal.wait_for("● training")
        with stopped_at_exit(tmp_path) as run:
            terminal.press("p")
            terminal.wait_for("paused")
            terminal.press("d")
            # The new process is paused too, once the model is built.
            terminal.wait_for(lambda text: "Building the model" in text and "‖ paused" in text)
            terminal.press("p")
            wait_until(lambda: read_state(run)[0].phase == "training")
            terminal.wait_for("● training")
            state, _ = read_state(run)
            assert state.resumed.pid != state.started.pid
            assert state.resumed.file == "last.pt"
            terminal.press("d")
            terminal.wait_for("you can quit")
            terminal.press("q")
            assert terminal.wait() == 0
            assert_restored(terminal, before)
            wait_for_epochs(run, 1)
        assert finished_epochs(run) == list(range(1, len(finished_epochs(run)) + 1))
        assert read_summary(run).status == "stopped"


@pytest.mark.parametrize("end", ["SIGTERM", "hang-up"])
def test_detached_run_survives_the_dashboard(tmp_path, end):
    with Terminal(*ENDLESS_RUN, "--on-hangup", "stop", cwd=tmp_path) as terminal:
        terminal.wait_for("● training")
        with stopped_at_exit(tmp_path) as run:
            terminal.press("d")
            wait_until(lambda: read_state(run)[0].resumed)
            terminal.wait_for("▶")
            if end == "SIGTERM":
                terminal.kill(signal.SIGTERM)
            else:
                terminal.hang_up()
            terminal.wait()
            wait_for_epochs(run, 1)
            assert "stop" not in [event.command for event in read_state(run)[0].commands]


def test_quit_dialog_can_detach(tmp_path):
    with Terminal(*ENDLESS_RUN, cwd=tmp_path) as terminal:
        terminal.wait_for("● training")
        with stopped_at_exit(tmp_path) as run:
            terminal.press("q")
            terminal.wait_for("Detach and keep training")
            terminal.press("d")
            assert terminal.wait() == 0
            text = text_after_exit(terminal)
            assert f"Training continues in the background. Watch it: cnn-tui watch {run.id}" in text
            wait_until(lambda: read_state(run)[0].resumed)
            wait_for_epochs(run, 1)


def test_run_started_with_detach_survives_the_terminal(tmp_path):
    with Terminal(*ENDLESS_RUN, "--detach", cwd=tmp_path) as terminal:
        terminal.wait_for("● training")
        with stopped_at_exit(tmp_path) as run:
            terminal.hang_up()
            assert terminal.wait() == 128 + signal.SIGHUP
            wait_for_epochs(run, 1)


def test_detach_without_a_terminal_prints_how_to_watch(tmp_path, run_cli):
    result = cnn_tui("run", "digits", "--epochs", "2", *SET_SMALL, "--detach", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (run,) = list_runs(tmp_path / "runs")
    assert result.stdout == f"{run.id}\n"
    assert f"cnn-tui watch {run.id}" in result.stderr
    wait_until(lambda: read_summary(run).status == "done")
    wait_until(lambda: not is_locked(run.events))
    _, _, errors = run_cli("watch", "--no-ui", cwd=tmp_path)
    assert "Started in the background" in errors
    assert "Resumed" not in errors
