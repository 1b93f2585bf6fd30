"""The console log of a run."""

import traceback
from contextlib import suppress

from cnn_engine.runs.directory import RunDirectory


def write_traceback(run: RunDirectory, error: BaseException) -> str:
    """Append the traceback of an exception to the console log; return a note with its path."""
    try:
        with run.console.open("a", encoding="utf-8", errors="backslashreplace") as console:
            traceback.print_exception(error, file=console)
    except OSError as problem:  # a full disk must not hide the error itself
        return f"its traceback could not be written: {problem.strerror}"
    return f"see {run.console}"


def write_line(run: RunDirectory, line: str) -> None:
    """Append a line to the console log, if it can be written."""
    with (
        suppress(OSError),
        run.console.open("a", encoding="utf-8", errors="backslashreplace") as console,
    ):
        console.write(f"{line}\n")
