"""A parent process that restores the terminal if the dashboard is killed or crashes.

After SIGKILL or a crash in native code a process can neither restore its terminal nor report the
cause; its parent can. The fork comes before all imports and threads, which keeps the parent small
and the child safe.
"""

import os
import signal
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from cnn_engine.errors import TrainingError
from cnn_engine.system.stop_signals import STOP_SIGNALS
from cnn_tui.terminal.tty import TerminalSettings, notify

FORWARDED_SIGNALS = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGQUIT)
"""Signals that the parent forwards to the child."""

EXPECTED_SIGNALS = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGPIPE)
"""Signals that need no message if they end the child before the dashboard starts."""

JOB_STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""Signals by which a job stops: the parent stops with its child, as the shell waits for it."""

_shell: int | None = None
"""Id of the parent's parent; None in a process without a supervisor."""

_to_parent: int | None = None
"""Pipe from the child to its parent; None in a process without one."""


def supervise() -> None:
    """Fork and return in the child; the parent waits for it and exits with its exit code."""
    global _to_parent, _shell  # noqa: PLW0603 - there is one parent
    _shell = os.getppid()
    settings = TerminalSettings()
    from_child, to_parent = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED_SIGNALS)
    child = os.fork()
    if child:
        os.close(to_parent)
        _forward_signals(child)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _wait_for(child, from_child, settings)
    os.close(from_child)
    _to_parent = to_parent
    # Until the dashboard installs its handlers: an interrupt loses nothing yet, and a run whose
    # terminal is lost must still train.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def notify_supervisor(run: os.PathLike[str] | None) -> None:
    """Report to the parent that a dashboard starts, and the run that this process trains, if any.

    Until None is reported, the process must not end by itself.
    """
    if _to_parent is not None:
        with suppress(BrokenPipeError):  # the parent was killed, and the run continues
            os.write(_to_parent, os.fsencode(run or b"") + b"\n")


def can_suspend() -> bool:
    """Return True if this process is a job of a shell, which can continue it after a stop."""
    shell = _shell or os.getppid()
    try:
        return os.getsid(shell) == os.getsid(0) and os.getpgid(shell) != os.getpgrp()
    except OSError:
        return False


def _forward_signals(child: int) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):  # the child has just ended
            os.kill(child, number)

    for number in FORWARDED_SIGNALS:
        signal.signal(number, forward)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # stops with the child, once that is ready


def _wait_for(child: int, from_child: int, settings: TerminalSettings) -> NoReturn:
    _, status = os.waitpid(child, os.WUNTRACED)
    while os.WIFSTOPPED(status):
        if os.WSTOPSIG(status) in JOB_STOPS:
            os.kill(os.getpid(), signal.SIGSTOP)
        _, status = os.waitpid(child, os.WUNTRACED)
    report = _report(from_child)
    run_path = os.fsdecode(report.splitlines()[-1]) if report else ""
    if not os.WIFSIGNALED(status):
        code = os.waitstatus_to_exitcode(status)
        if not run_path or code > 128:  # quit by a signal
            os._exit(code)
        settings.restore(screen=2)
        _report_exit(f"ended with exit code {code}", run_path, TrainingError.exit_code)
        os._exit(TrainingError.exit_code)
    number = os.WTERMSIG(status)
    cause = f"ended by signal {number} ({signal.strsignal(number)})"
    if report:
        settings.restore(screen=2)
        _report_exit(cause, run_path, 128 + number)
    elif number not in EXPECTED_SIGNALS:
        notify(cause)
    os._exit(128 + number)


def _report(from_child: int) -> bytes:
    """Return what the child has reported; processes of the child may keep the pipe open."""
    os.set_blocking(from_child, False)
    with suppress(BlockingIOError):
        return os.read(from_child, 65536)
    return b""


def _report_exit(cause: str, run_path: str, exit_code: int) -> None:
    """Report the cause and the command to run next; send messages if a run has lost its process.

    The imports are deferred until they are needed.
    """
    from pathlib import Path  # noqa: PLC0415

    from cnn_engine.checkpoints.format import LAST_FILE  # noqa: PLC0415
    from cnn_engine.runs.directory import RunDirectory  # noqa: PLC0415
    from cnn_engine.runs.summary import read_summary  # noqa: PLC0415
    from cnn_tui.text.shell import command_for  # noqa: PLC0415

    if not run_path:
        notify(f"the dashboard was {cause}; the runs are unchanged")
        return
    run = RunDirectory(Path(run_path))
    if read_summary(run).status != "interrupted":
        notify(f"the dashboard was {cause} after the run had ended: {command_for('show', run)}")
        return
    start = "the last checkpoint" if (run.path / LAST_FILE).exists() else "the beginning"
    notify(f"training was {cause}; resume from {start}: {command_for('resume', run)}")
    from cnn_engine.notifications.notifier import notify_lost  # noqa: PLC0415

    if notice := notify_lost(run, f"training was {cause}", exit_code):
        notify(notice)
