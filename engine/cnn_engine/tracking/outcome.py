"""The last event of a run, from how its program ends."""

from typing import Literal

from cnn_engine.errors import error_text
from cnn_engine.runlog.events import RunFinished
from cnn_engine.runs.console import write_traceback
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.system.stop_signals import EXIT_CODES

MAX_TEXT = 1000
"""Characters of an exception's message."""


def exit_code(error: BaseException | None) -> int:
    """Return the exit code of a program that ends with an exception, or without one."""
    if isinstance(error, KeyboardInterrupt):
        return EXIT_CODES["SIGINT"]
    if isinstance(error, SystemExit):
        code = error.code
        return code if isinstance(code, int) else int(code is not None)
    return int(error is not None)


def run_finished(
    run: RunDirectory, error: BaseException | None, stopped_by: str, seconds: float
) -> RunFinished:
    """Return the last event of a run, and keep the traceback of its exception.

    Args:
        run: The run.
        error: Exception with which the program ends; None without one.
        stopped_by: Sender of the command that stopped it; empty without one.
        seconds: Duration of the run.
    """
    code, text = exit_code(error), ""
    status: Literal["done", "stopped", "failed"] = "failed" if code else "done"
    if stopped_by and isinstance(error, SystemExit | None):
        status, code = "stopped", code or EXIT_CODES.get(stopped_by, 0)
    elif isinstance(error, KeyboardInterrupt):
        status = "stopped"
    elif isinstance(error, SystemExit) and code:
        text = f"the program ended with {error_text(error)}"
    elif error is not None and code:
        text = f"{error_text(error)[:MAX_TEXT]}; {write_traceback(run, error)}"
    # Shells see the lowest byte.
    return RunFinished(status=status, exit_code=code % 256, seconds=seconds, error=text)
