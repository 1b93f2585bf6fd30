"""Starting the process that trains a run in the background."""

import subprocess
import sys
from threading import Thread

from cnn_engine.errors import StorageError
from cnn_engine.runs.directory import RunDirectory


def spawn(run: RunDirectory, log: int, commands_read: int) -> None:
    """Start a process, in a session of its own, that goes on with the run; do not wait for it.

    Args:
        run: The run, whose log this process holds and writes no more.
        log: Descriptor of that log, for the new process.
        commands_read: Bytes of its commands file that this process has read.

    Raises:
        StorageError: it cannot be started.
    """
    # -P, as a file in the working directory must not stand in for a module of the same name.
    program = [sys.executable, "-P", "-m", "cnn_engine.session.background"]
    command = [*program, str(run.path.absolute()), str(log), str(commands_read)]
    try:
        with run.console.open("ab") as console:
            process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                pass_fds=(log,),
            )
    except OSError as error:
        raise StorageError(
            f"run {run.id}: no process could be started in the background: {error.strerror}; "
            f"to go on with it: cnn-tui resume {run.id}"
        ) from None
    # Waited for only so that, once it has ended, no zombie of it stays.
    Thread(target=process.wait, name="reaper", daemon=True).start()
