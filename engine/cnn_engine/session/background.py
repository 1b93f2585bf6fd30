"""Background training: a process without a terminal, independent of the one that starts it.

    python -m cnn_engine.session.background RUN_DIR [[LOG] COMMANDS_READ]

resumes the run from its last checkpoint, or trains it from the start if there is none. The two
numbers are the fields of `HandedOver`, if another process hands the run over. Under torchrun,
several such processes train the run together, and COMMANDS_READ is the size of the commands file
before they were started. Tracebacks and the output of libraries are written to the run's
`console.log`.
"""

import faulthandler
import os
import sys
from contextlib import suppress
from pathlib import Path

from cnn_engine.checkpoints.resume import find_checkpoint
from cnn_engine.distributed.place import Place, find_place
from cnn_engine.errors import RunHeldError, StorageError, UserError
from cnn_engine.notifications.notifier import notify_lost
from cnn_engine.queue.devices import hold_expected_device
from cnn_engine.runlog.events import RunFinished
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.recorder import HandedOver, Recorder
from cnn_engine.runs.summary import read_state
from cnn_engine.session.engine import LOST_EXIT_CODE, Engine, begin_run
from cnn_engine.session.member import stop_on_signals, train_as_member
from cnn_engine.session.request import Request
from cnn_engine.session.spawn import spawn, spawn_processes
from cnn_engine.system.stop_signals import hold_stop_signals


def start_in_background(request: Request, run: RunDirectory) -> None:
    """Start a background process that trains, and return at once; the run can be watched already.

    Args:
        request: The config to train.
        run: A new run directory.

    Raises:
        StorageError: the log cannot be written, or the process cannot be started.
    """
    with Recorder(run) as recorder:
        begin_run(request, recorder)
        _spawn(recorder, request.config.train.device)


def start_processes(request: Request, run: RunDirectory, count: int) -> int:
    """Start processes that train together, and return at once; the run can be watched already.

    Args:
        request: The config to train.
        run: A new run directory.
        count: Number of processes.

    Returns:
        Process id of torchrun.

    Raises:
        StorageError: the log cannot be written, or torchrun cannot be started.
    """
    with Recorder(run) as recorder:
        begin_run(request, recorder, count)
        commands_read = recorder.commands.bytes_read
    return spawn_processes(run, count, commands_read)


def resume_in_background(run: RunDirectory) -> None:
    """Start a background process that resumes a run, and return at once.

    Raises:
        ConfigError: there is nothing to resume.
        DataError: its checkpoints are damaged.
        StorageError: another process holds it, or none can be started.
    """
    with Recorder(run) as recorder:
        find_checkpoint(recorder.state, run, None)
        _spawn(recorder, str(recorder.state.setting("train.device") or "auto"))


def _spawn(recorder: Recorder, configured: str) -> None:
    """Start the process of a run, which inherits the lock of its device, if that is known.

    Args:
        recorder: Records the run.
        configured: Value of `train.device`.

    Raises:
        StorageError: the process cannot be started.
    """
    device = hold_expected_device(configured, recorder.run.path)
    try:
        spawn(recorder.run, recorder.release(), device)
    finally:
        if device is not None:
            device.close()


def main() -> None:
    """Train the run that the command line names, until it ends."""
    hold_stop_signals()
    faulthandler.enable()
    run = RunDirectory(Path(sys.argv[1]))
    try:
        place = find_place()
        if place is not None and (place.restart or not place.is_first):
            state, _ = read_state(run)
            if place.restart and state.finished is not None and state.has_ended:
                sys.exit(0)  # another start would end alike
            if not place.is_first:
                code = train_as_member(Request.from_state(state, allow_code=True), place)
                sys.exit(code if code == LOST_EXIT_CODE else 0)  # the run has its error
        engine = _make_engine(run, place)
        stop_on_signals(engine)
        engine.start()
        engine.join()
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201 - into the console.log
        sys.exit(error.exit_code)
    sys.exit(engine.exit_code if place is None else engine.exit_code_for_torchrun)


def _make_engine(run: RunDirectory, place: Place | None) -> Engine:
    """Return the engine that resumes the run; send the messages of its end if it cannot.

    Raises:
        UserError: as `Engine.resume`.
    """
    try:
        return Engine.resume(
            run,
            handed_over=_handed_over(),
            allow_code=place is not None,
            place=place,
            commands_read=_commands_read(place),
        )
    except RunHeldError:
        raise
    except UserError as error:
        _record_failure(run, error)
        notify_lost(run, str(error), error.exit_code)
        raise


def _record_failure(run: RunDirectory, error: UserError) -> None:
    """Record that a new or queued run could not be started at all."""
    with suppress(StorageError), Recorder(run) as recorder:
        if recorder.state.phase in {"queued", "starting"}:
            seconds, code = recorder.state.elapsed_seconds, error.exit_code
            recorder.record(
                RunFinished(status="failed", exit_code=code, seconds=seconds, error=str(error))
            )


def _commands_read(place: Place | None) -> int | None:
    """Return the size of the commands file before torchrun was started.

    None if it is unknown, or if these processes were started again: then it has old commands.
    """
    is_first_start = place is not None and not place.restart
    return int(sys.argv[2]) if is_first_start and len(sys.argv) == 3 else None


def _handed_over() -> HandedOver | None:
    """Return the fields given on the command line; child processes do not inherit the log."""
    if len(sys.argv) < 4:
        return None
    log, commands_read = map(int, sys.argv[2:4])
    os.set_inheritable(log, False)
    return HandedOver(log, commands_read)


if __name__ == "__main__":
    main()
