"""Starts the process that trains a run in the background."""

import subprocess
import sys
from threading import Thread

from cnn_engine.errors import StorageError
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.runs.recorder import HandedOver


def spawn(run: RunDirectory, handed_over: HandedOver) -> None:
    """Start a process in a new session that continues the run, without waiting for it.

    Args:
        run: The run. This process has its lock, and must no longer write to its log.
        handed_over: What the recorder of this process has released.

    Raises:
        StorageError: the process cannot be started.
    """
    # -P: a file in the working directory must not shadow a module of the same name.
    program = [sys.executable, "-P", "-m", "cnn_engine.session.background"]
    command = [*program, str(run.path.absolute()), *map(str, handed_over)]
    try:
        with run.console.open("ab") as console:
            process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                pass_fds=(handed_over.log,),
            )
    except OSError as error:
        raise StorageError(
            f"run {run.id}: the background process could not be started: {error.strerror}; "
            f"resume it with: {command_for('resume', run)}"
        ) from None
    # Wait for it in a thread, so that it leaves no zombie when it ends.
    Thread(target=process.wait, name="reaper", daemon=True).start()
