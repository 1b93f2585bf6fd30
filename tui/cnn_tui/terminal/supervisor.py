"""A parent that waits for the dashboard, and cleans up after what no process survives.

SIGKILL and crashes in native code leave no process the time to restore its terminal, and none can
say what became of it. The parent does both. It forks before anything is imported or any thread
exists, so that it is small and its child is sound.
"""

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from cnn_tui.terminal.tty import TerminalSettings, notify

FORWARDED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that may be sent to the parent alone, and are meant for the child."""

EXPECTED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
"""Signals that need no explanation where they end a process that shows nothing yet."""

_to_parent: int | None = None
"""In the child, the pipe to its parent."""


def supervise() -> None:
    """Go on in a child; the parent stays in here until that has ended, and ends as it did."""
    global _to_parent  # noqa: PLW0603 - there is one parent
    settings = TerminalSettings()
    from_child, to_parent = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED_SIGNALS)
    child = os.fork()
    if child:
        os.close(to_parent)
        _pass_on_signals(child)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _wait_for(child, from_child, settings)
    os.close(from_child)
    _to_parent = to_parent
    # Until the dashboard takes care of them: nothing is lost yet by an interruption, and a run
    # whose terminal is lost is still to be trained.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def notify_supervisor(run: os.PathLike[str] | None) -> None:
    """Say that the screen is ours from now on, and which run is trained here, if one is."""
    if _to_parent is not None:
        os.write(_to_parent, os.fsencode(run or b"") + b"\n")


def _pass_on_signals(child: int) -> None:
    def pass_on(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    for number in FORWARDED_SIGNALS:
        signal.signal(number, pass_on)


def _wait_for(child: int, from_child: int, settings: TerminalSettings) -> NoReturn:
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        os._exit(os.waitstatus_to_exitcode(status))
    number = os.WTERMSIG(status)
    os.set_blocking(from_child, False)  # what the child has forked may still hold the other end
    with suppress(BlockingIOError):
        told = os.read(from_child, 65536)
        if told:
            settings.restore(screen=2)
            notify(_last_words(number, os.fsdecode(told.splitlines()[-1])))
        elif number not in EXPECTED_SIGNALS:
            notify(f"ended by signal {number} ({signal.strsignal(number)})")
    os._exit(128 + number)


def _last_words(number: int, run_path: str) -> str:
    """What happened, and what to do now. Only here is anything imported."""
    from pathlib import Path  # noqa: PLC0415

    from cnn_engine.checkpoints.format import LAST_FILE  # noqa: PLC0415
    from cnn_engine.runs.directory import RunDirectory  # noqa: PLC0415
    from cnn_engine.runs.summary import read_summary  # noqa: PLC0415
    from cnn_tui.text.shell import command_for  # noqa: PLC0415

    cause = f"ended by signal {number} ({signal.strsignal(number)})"
    if not run_path:
        return f"the dashboard was {cause}; the runs are as they were"
    run = RunDirectory(Path(run_path))
    if read_summary(run).status == "interrupted":
        place = "the last checkpoint" if (run.path / LAST_FILE).exists() else "its beginning"
        return f"training was {cause}; go on from {place}: {command_for('resume', run)}"
    return f"the dashboard was {cause}, after the run had ended: {command_for('show', run)}"
