"""Signals and held keys, in real terminals."""

import os
import shlex
import signal

import psutil
import pytest

from cnn_engine.runs.commands import CommandReader
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.system.stop_signals import IMPATIENT_SIGNALS, STOP_SIGNALS, WARNING_SIGNALS
from cnn_tui.terminal.signals import StopSignals
from golden import golden_run, saved_screen
from runs_for_tests import RunForTests
from terminal import CLI, ENDLESS_RUN, Terminal, assert_restored, text_after_exit
from terminal_runs import child_of, only_run, patched_program


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signal_closes_the_viewer_but_not_the_run(tmp_path, number):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000")
    run.engine.start()
    try:
        with Terminal("watch", cwd=tmp_path) as terminal:
            before = terminal.settings
            terminal.wait_for("● training")
            terminal.kill(number)
            assert terminal.wait() == 128 + number
            assert_restored(terminal, before)
        assert run.engine.is_alive()
    finally:
        run.send("stop")
        run.engine.join()


STUCK = ("import cnn_engine.session.engine, time", "cnn_engine.session.engine.Engine._train")
"""Imports and function of an engine that ignores commands."""


@pytest.mark.parametrize("number", IMPATIENT_SIGNALS)
def test_second_signal_quits_immediately(tmp_path, number):
    program = patched_program(
        tmp_path, *STUCK, "while True: time.sleep(0.1)", arguments=ENDLESS_RUN
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        before = terminal.settings
        terminal.wait_for("Epochs")
        run = only_run(tmp_path)
        terminal.kill(number)
        terminal.wait_for("stopping")
        terminal.read(0.5)  # signals in quick succession count as one
        terminal.kill(number)
        assert terminal.wait() == 128 + number
        assert_restored(terminal, before)
    assert f"quit immediately. Resume with: cnn-tui resume {run.id}" in text_after_exit(terminal)


@pytest.fixture
def received(monkeypatch):
    """Install the handlers with a clock; yield the clock's time in a list, and their calls."""
    now, calls = [100.0], []
    monkeypatch.setattr("cnn_tui.terminal.signals.time.monotonic", lambda: now[0])
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    StopSignals(
        lambda number: calls.append(f"stop {number.name}"),
        lambda number: calls.append(f"quit {number.name}"),
    )
    yield now, calls
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_late_second_signal_counts_as_a_first(received):
    now, calls = received
    for seconds in (0.0, 0.1, 10.1, 0.2, 5.0):
        now[0] += seconds
        os.kill(os.getpid(), signal.SIGTERM)
    assert calls == ["stop SIGTERM", "stop SIGTERM", "quit SIGTERM"]


@pytest.mark.parametrize("number", WARNING_SIGNALS)
def test_repeated_warning_never_quits(received, number):
    """A limit of processor time sends SIGXCPU every second, Slurm SIGTERM soon after SIGUSR1."""
    now, calls = received
    for sent in (number, number, signal.SIGTERM, number):
        now[0] += 1.0
        os.kill(os.getpid(), sent)
    assert calls == [f"stop {sent.name}" for sent in (number, number, signal.SIGTERM, number)]


EVENTS_AT_STAGE = {
    "torch": "stage='torch'",
    "data": "stage='data'",
    "first step": "EpochStarted(",
    "evaluation": "ValidationProgressed(",
}


@pytest.mark.parametrize("event", EVENTS_AT_STAGE.values(), ids=EVENTS_AT_STAGE)
def test_signal_stops_the_run_at_any_stage(tmp_path, event):
    program = patched_program(
        tmp_path,
        "import cnn_engine.runs.recorder, os\nsent = []",
        "cnn_engine.runs.recorder.Recorder.record",
        "before(*args)",
        f"if {event!r} in repr(args[1]) and not sent:",
        "    sent.append(os.kill(os.getpid(), 15))",
        arguments=ENDLESS_RUN,
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        before = terminal.settings
        assert terminal.wait() == 143
        assert_restored(terminal, before)
    run = only_run(tmp_path)
    assert read_summary(run).status == "stopped"
    assert b"Traceback" not in terminal.raw + run.console.read_bytes()


def test_signal_stops_the_run_before_the_first_frame(tmp_path):
    program = patched_program(
        tmp_path,
        "import cnn_tui.dashboard.app, os",
        "cnn_tui.dashboard.app.Dashboard.run",
        "os.kill(os.getpid(), 15)",
        "before(*args, **options)",
        arguments=ENDLESS_RUN,
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        assert terminal.wait() == 143
    assert read_summary(only_run(tmp_path)).status == "stopped"


def test_held_keys_send_every_command(tmp_path):
    pauses = ["pause", "unpause"] * 20
    with Terminal(*ENDLESS_RUN, cwd=tmp_path) as terminal:
        terminal.wait_for("● training")
        run = only_run(tmp_path)
        terminal.press(40 * "p" + 40 * "c")
        terminal.wait_for(lambda _: len(list(CommandReader(run.commands).poll())) == 80)
        terminal.press("r")
        terminal.wait_for("Learning rate")
        terminal.press(100 * "e")  # an invalid learning rate
        terminal.wait_for("eee")
        terminal.press("\x1b")
        terminal.wait_for(lambda text: "eee" not in text)
        terminal.kill(signal.SIGTERM)
        assert terminal.wait() == 143
    *applied, stop = [command.command for command in read_state(run)[0].commands]
    assert [*dict.fromkeys(applied[40:]), stop] == ["checkpoint", "stop"]
    assert applied[:40] == pauses


def test_screen_is_redrawn_after_a_stop_from_outside(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    screen = saved_screen("completed-120x36")
    with Terminal("watch", cwd=tmp_path) as terminal:
        before = terminal.settings
        terminal.wait_for(lambda text: text == screen)
        terminal.press("\x1b[?2048;1$y")  # reports its size: Textual enables the mouse in pixels
        child = child_of(terminal)
        child.send_signal(signal.SIGSTOP)
        terminal.wait_for(lambda _: child.status() == psutil.STATUS_STOPPED)
        terminal.show("\x1b[2Ja shell was here")
        child.send_signal(signal.SIGCONT)
        # Wait for the terminal's modes too: a timer of the dashboard may repaint before they are
        # set, and keys pressed until then are the shell's.
        modes_set = b"\x1b[?1049h"
        terminal.wait_for(lambda text: text == screen and terminal.raw.count(modes_set) == 2)
        terminal.press("q")
        assert terminal.wait() == 0
        assert_restored(terminal, before)
    assert terminal.raw.rindex(b"\x1b[?1016l") > terminal.raw.rindex(b"\x1b[?1016h")


SHELL = ["bash", "--norc", "--noprofile", "-i"]


def test_ctrl_z_suspends_and_fg_brings_the_screen_back(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    screen = saved_screen("completed-120x36")
    with Terminal(cwd=tmp_path, command=SHELL) as terminal:
        terminal.press(f"PS1='ready> '; {shlex.join(CLI)} watch\n")
        terminal.wait_for(lambda text: text == screen)
        before = terminal.settings
        for _ in range(2):
            terminal.press("\x1a")
            terminal.wait_for("Stopped")
            assert terminal.raw.rindex(b"\x1b[?1049l") > terminal.raw.rindex(b"\x1b[?1049h")
            assert terminal.raw.rindex(b"\x1b[23;0t") > terminal.raw.rindex(b"\x1b[22;0t")  # title
            terminal.press("echo here is $((40 + 2)); fg\n")
            terminal.wait_for(lambda text: text == screen)
            assert b"here is 42" in terminal.raw
            assert terminal.settings == before
        terminal.press("?\x1a")  # with a dialog open
        terminal.wait_for("Stopped")
        terminal.press("fg\n")
        terminal.wait_for("All views")
        terminal.press("qq")
        terminal.wait_for(lambda text: text.rstrip().endswith("ready>"))
        terminal.press("echo code $?; exit\n")
        terminal.wait_for("code 0")
        assert terminal.wait() == 0


def test_ctrl_z_is_refused_without_a_shell(tmp_path):
    """A terminal that runs the program alone, such as `tmux new cnn-tui`, could not continue it."""
    golden_run(tmp_path / "runs", "completed")
    with Terminal("watch", cwd=tmp_path) as terminal:
        terminal.wait_for("✓ done")
        terminal.press("\x1a")
        terminal.wait_for("Cannot suspend: no shell with job control")
        child_of(terminal).send_signal(signal.SIGTSTP)
        terminal.press("2")
        terminal.wait_for("Confusion matrix")
        terminal.press("q")
        assert terminal.wait() == 0
