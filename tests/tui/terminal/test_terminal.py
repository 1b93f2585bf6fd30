"""The dashboard in a real terminal with the real engine."""

import random
import re
import signal
import sys
import time

import pytest

from cnn_engine.runs.directory import list_runs
from cnn_engine.runs.summary import read_summary
from golden import golden_run, saved_screen
from runs_for_tests import RunForTests
from terminal import (
    CLI,
    ENDLESS_RUN,
    SET_SMALL,
    Terminal,
    assert_restored,
    text_after_exit,
    without_title,
)


def test_closed_dashboard_prints_a_summary(tmp_path):
    with Terminal("run", "digits", "--epochs", "4", *SET_SMALL, cwd=tmp_path) as terminal:
        before = terminal.settings
        terminal.wait_for("Loading PyTorch")
        terminal.wait_for("Done after")
        terminal.wait_for("Accuracy by class ─ test")
        terminal.press("q")
        assert terminal.wait() == 0
        assert_restored(terminal, before)
    printed = text_after_exit(terminal)
    (run,) = list_runs(tmp_path / "runs")
    assert "Test accuracy" in printed
    assert str(run.path) in printed
    assert f"cnn-tui watch {run.id}" in printed


def test_quit_asks_then_stops_with_a_checkpoint(tmp_path):
    with Terminal(*ENDLESS_RUN, cwd=tmp_path) as terminal:
        before = terminal.settings
        terminal.wait_for("starting")  # before PyTorch is imported
        terminal.wait_for("Loading PyTorch")
        terminal.wait_for(lambda text: re.search(r"Epoch +[2-9]\d*/100000", text))
        terminal.press("q")
        terminal.wait_for("Quit?")
        terminal.press("n")
        terminal.wait_for(lambda text: "Quit?" not in text)
        terminal.press("q")
        terminal.wait_for("Quit?")
        terminal.press("y")
        assert terminal.wait() == 0
        assert_restored(terminal, before)
    (run,) = list_runs(tmp_path / "runs")
    assert read_summary(run).status == "stopped"
    assert (run.path / "last.pt").exists()
    assert "stopped after" in text_after_exit(terminal)


def test_ctrl_c_asks_then_exits_130(tmp_path):
    with Terminal(*ENDLESS_RUN, cwd=tmp_path) as terminal:
        terminal.wait_for("● training")
        terminal.press("\x03")
        terminal.wait_for("Quit?")
        terminal.press("y")
        assert terminal.wait() == 130


BYTES_PER_SECOND = 5000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGXCPU])
def test_training_writes_few_bytes_and_a_signal_stops_it(tmp_path, number):
    """The supervising parent forwards every signal of a batch system (Lightning#1455)."""
    with Terminal(*ENDLESS_RUN, cwd=tmp_path) as terminal:
        before = terminal.settings
        terminal.wait_for("● training")
        if number == signal.SIGTERM:
            terminal.read(2)
            assert 0 < len(terminal.read(3)) < 3 * BYTES_PER_SECOND  # dozens of epochs
        terminal.kill(number)
        assert terminal.wait() == 128 + number
        assert_restored(terminal, before)
    (run,) = list_runs(tmp_path / "runs")
    assert read_summary(run).status == "stopped"


def test_failed_run_shows_the_error_and_exits_4(tmp_path):
    with Terminal("run", "digits", "--set", "optimizer.lr=1e30", cwd=tmp_path) as terminal:
        terminal.wait_for("training loss became")
        terminal.press("q")
        assert terminal.wait() == 4
    assert "failed after" in text_after_exit(terminal)
    assert "training loss became" in text_after_exit(terminal)


def test_viewer_quit_keeps_the_run_and_stop_ends_it(tmp_path):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000")
    run.engine.start()
    try:
        with Terminal("watch", cwd=tmp_path, size=(80, 24)) as terminal:
            terminal.wait_for("● training")
            terminal.press("q")
            assert terminal.wait() == 0
        assert run.engine.is_alive()
        with Terminal("watch", run.directory.id, cwd=tmp_path, size=(80, 24)) as terminal:
            terminal.wait_for("● training")
            terminal.press("s")
            terminal.wait_for("Stop training?")
            terminal.press("y")
            terminal.wait_for("■ stopped")
            terminal.press("q")
            assert terminal.wait() == 0
    finally:
        run.send("stop")
        run.engine.join()
    assert run.live_state.status == "stopped"


def test_run_list_opens_runs(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    with Terminal(cwd=tmp_path) as terminal:
        terminal.wait_for("1124-0412-amber")
        terminal.press("\r")
        terminal.wait_for("Accuracy by class ─ test")
        terminal.press("\x1b")
        terminal.wait_for("1 run ")
        terminal.press("q")
        assert terminal.wait() == 0


def test_idle_dashboard_writes_nothing(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    with Terminal("watch", cwd=tmp_path) as terminal:
        terminal.wait_for("Accuracy by class ─ test")
        for _ in range(10):
            if not terminal.read(1):
                break
        assert terminal.read(3) == b""
        terminal.press("q")
        assert terminal.wait() == 0


def shown_epoch(text):
    """Return the epoch on the screen, or 0."""
    match = re.search(r"Epoch +(\d+)/", text)
    return int(match[1]) if match else 0


def test_stalled_terminal_recovers(tmp_path):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000")
    run.engine.start()
    try:
        with Terminal("watch", cwd=tmp_path, size=(80, 24)) as terminal:
            terminal.wait_for("● training")
            before = run.live_state.epoch
            time.sleep(3)
            reached = run.live_state.epoch
            assert reached > before
            terminal.wait_for(lambda text: shown_epoch(text) >= reached)
            terminal.press("5")
            terminal.wait_for("finished: train")
            terminal.press("q")
            assert terminal.wait() == 0
    finally:
        run.send("stop")
        run.engine.join()


def test_random_resizes_restore_the_layout(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    screen = saved_screen("completed-120x36")
    random.seed(1)
    with Terminal("watch", cwd=tmp_path) as terminal:
        terminal.wait_for(lambda text: text == screen)
        for _ in range(40):
            terminal.resize(random.randint(1, 220), random.randint(1, 70))
            terminal.read(0.02)
        terminal.resize(120, 36)
        terminal.wait_for(lambda text: text == screen)
        terminal.press("q")
        assert terminal.wait() == 0


def test_resizes_redraw_the_layout(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    screen = saved_screen("completed-120x36")
    with Terminal("watch", cwd=tmp_path) as terminal:
        terminal.wait_for(lambda text: text == screen)
        for columns, rows in ((80, 24), (40, 12), (200, 60)):
            terminal.resize(columns, rows)
            terminal.wait_for(
                lambda text, columns=columns: len(text.splitlines()[0]) == columns - 1
            )
        terminal.resize(120, 36)
        terminal.wait_for(lambda text: text == screen)
        terminal.press("q")
        assert terminal.wait() == 0


def test_capture_output_redirects_prints_and_c_output(tmp_path):
    program = (
        "import os, pathlib, sys, warnings\n"
        "from cnn_tui.terminal.tty import capture_output\n"
        "print('before')\n"
        "with capture_output(pathlib.Path('console.log')):\n"
        "    print('a print'); warnings.warn('a warning')\n"
        "    os.write(1, b'from C on 1\\n'); os.write(2, b'from C on 2\\n')\n"
        "    sys.__stderr__.write('the screen\\n'); sys.__stderr__.flush()\n"
        "print('after')\n"
    )
    (tmp_path / "program.py").write_text(program)
    with Terminal(cwd=tmp_path, command=[sys.executable, "program.py"]) as terminal:
        assert terminal.wait() == 0
    assert terminal.text.split() == ["before", "the", "screen", "after"]
    captured = (tmp_path / "console.log").read_text()
    for text in ("a print", "a warning", "from C on 1", "from C on 2"):
        assert text in captured


def test_piped_output_is_plain_lines(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    command = f"{CLI[0]} -c '{CLI[2]}' watch | cat"
    with Terminal(cwd=tmp_path, command=["sh", "-c", command]) as terminal:
        assert terminal.wait() == 0
    assert b"Finished Training" in terminal.raw
    assert b"\x1b" not in without_title(terminal.raw)
