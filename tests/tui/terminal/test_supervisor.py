"""Killed and crashed processes, in real terminals."""

import signal

import pytest

from cnn_engine.runs.summary import read_summary
from golden import golden_run
from terminal import ENDLESS_RUN, Terminal, assert_restored, text_after_exit
from terminal_runs import child_of, only_run, patched_program, training_process, wait_for_epochs
from webhook import webhook_server

ENDS_THE_PROCESS = """
import ctypes
from torch import nn

class Net(nn.Module):
    def __init__(self, *, channels, image_size, class_count):
        super().__init__()
        self.layer = nn.Linear(image_size ** 2, class_count)

    def forward(self, images):
        ctypes.CDLL(None)._exit({code})
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_terminal_is_restored_after_a_killed_run(tmp_path, number):
    with (
        webhook_server() as webhook,
        Terminal(*ENDLESS_RUN, "--notify", webhook.url(), cwd=tmp_path) as terminal,
    ):
        before = terminal.settings
        terminal.wait_for("● training")
        run = only_run(tmp_path)
        wait_for_epochs(run, 1)
        training_process(run).send_signal(number)
        assert terminal.wait() == 128 + number
        assert_restored(terminal, before)
        fields = webhook.received[-1].fields
    assert (fields["event"], fields["exit_code"]) == ("failed", 128 + number)
    assert f"training was ended by signal {number:d}" in fields["error"]
    printed = text_after_exit(terminal)
    assert f"training was ended by signal {number:d}" in printed
    assert f"cnn-tui resume {run.id}" in printed
    assert printed.count("\n") == 1
    assert read_summary(run).status == "interrupted"
    assert ("Fatal Python error" in run.console.read_text()) == (number == signal.SIGSEGV)


@pytest.mark.parametrize("code", [0, 3])
def test_process_that_ends_itself_is_reported_with_its_run(tmp_path, code):
    """A library that a network calls ends the process."""
    (tmp_path / "nets.py").write_text(ENDS_THE_PROCESS.format(code=code))
    with Terminal("run", "digits", "--set", "model.name='nets:Net'", cwd=tmp_path) as terminal:
        before = terminal.settings
        assert terminal.wait() == 4
        assert_restored(terminal, before)
    run = only_run(tmp_path)
    printed = text_after_exit(terminal)
    assert f"training was ended with exit code {code}; resume from the beginning: " in printed
    assert f"cnn-tui resume {run.id}" in printed
    assert read_summary(run).status == "interrupted"


def test_terminal_is_restored_after_a_killed_viewer(tmp_path):
    golden_run(tmp_path / "runs", "completed")
    with Terminal("watch", cwd=tmp_path) as terminal:
        before = terminal.settings
        terminal.wait_for("Accuracy by class ─ test")
        child_of(terminal).kill()
        assert terminal.wait() == 137
        assert_restored(terminal, before)
    assert "the dashboard was ended by signal 9" in text_after_exit(terminal)
    assert "the runs are unchanged" in text_after_exit(terminal)


def test_interrupt_during_startup_prints_nothing(tmp_path):
    program = patched_program(
        tmp_path, "import cnn_tui.cli.app, os", "cnn_tui.cli.app.main", "os.kill(0, 2)"
    )
    with Terminal(cwd=tmp_path, command=program) as terminal:
        assert terminal.wait() == 130
    assert terminal.raw == b""
