"""The console log of a run."""

import traceback

from cnn_engine.runs.directory import RunDirectory


def write_traceback(run: RunDirectory) -> str:
    """Append the current traceback to the console log; return a note with its path."""
    try:
        with run.console.open("a") as console:
            traceback.print_exc(file=console)
    except OSError as error:  # a full disk must not hide the error itself
        return f"its traceback could not be written: {error.strerror}"
    return f"see {run.console}"
