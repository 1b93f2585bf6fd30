"""A run in the background: a process with no terminal, which outlives the one that started it.

    python -m cnn_engine.session.background RUN_DIR [LOG COMMANDS_READ]

goes on with the run from its last checkpoint, or begins with one that is only prepared. The two
numbers are what it inherits from the process that held the run before. What libraries print, and
tracebacks, go to the run's `console.log`.
"""

import faulthandler
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from cnn_engine.checkpoints.resume import find_checkpoint
from cnn_engine.errors import UserError
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.recorder import Inheritance, Recorder
from cnn_engine.session.engine import Engine, run_started
from cnn_engine.session.request import Request


def start_in_background(request: Request, run: RunDirectory) -> None:
    """Train in a process of its own, and return at once; the run can be watched from now on.

    Args:
        request: What to train.
        run: A new run directory.

    Raises:
        StorageError: its log cannot be written, or no process be started.
    """
    with Recorder(run) as recorder:
        recorder.record(run_started(request, run))
        recorder.hand_over()


def resume_in_background(run: RunDirectory) -> None:
    """Go on with a run in a process of its own, and return at once.

    Raises:
        ConfigError: there is nothing to go on with.
        DataError: its checkpoints are damaged.
        StorageError: another process holds it, or none can be started.
    """
    with Recorder(run) as recorder:
        find_checkpoint(recorder.state, run, None)
        recorder.hand_over()


def main() -> None:
    """Go on with the run that the command line names, until it ends."""
    faulthandler.enable()
    run = RunDirectory(Path(sys.argv[1]))
    try:
        engine = Engine.resume(run, inheritance=_inheritance())
        _stop_on_signals(run)
        engine.start()
        engine.join()
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201 - into the console.log
        sys.exit(error.exit_code)
    sys.exit(engine.exit_code)


def _inheritance() -> Inheritance | None:
    """What the command line says that was inherited; the log is for this process alone."""
    if len(sys.argv) < 4:
        return None
    log, commands_read = map(int, sys.argv[2:4])
    os.set_inheritable(log, False)
    return Inheritance(log, commands_read)


def _stop_on_signals(run: RunDirectory) -> None:
    """SIGINT and SIGTERM ask the run to stop; that a terminal is gone is no matter here."""

    def stop(number: int, _frame: FrameType | None) -> None:
        send(run.commands, Command(name="stop", by=signal.Signals(number).name))

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    main()
