"""Starts the processes that train a run in the background."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from cnn_engine.errors import StorageError
from cnn_engine.queue.devices import DeviceLock
from cnn_engine.queue.entries import Entry, environment_of
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.runs.recorder import HandedOver
from cnn_engine.system.stop_signals import STOP_SIGNALS

MODULE = "cnn_engine.session.background"
SERIES_MODULE = "cnn_engine.session.series_background"

MAX_RESTARTS = 10
"""Number of times that torchrun starts the processes of a run again after one was lost."""

HANDLED_SIGNALS = ",".join(number.name for number in (*STOP_SIGNALS, signal.SIGQUIT))
"""Signals that torchrun passes on. By default it dies of a batch system's warnings, and ends at
SIGHUP, when a terminal is closed."""


class _Place(NamedTuple):
    """Program, directory and environment of a process; by default those of this one."""

    python: str = ""
    directory: str | None = None
    environment: dict[str, str] | None = None


def spawn(run: RunDirectory, handed_over: HandedOver, device: DeviceLock | None = None) -> None:
    """Start a process in a new session that continues the run, without waiting for it.

    Args:
        run: The run. This process has its lock, and must no longer write to its log.
        handed_over: What the recorder of this process has released.
        device: The lock of the device that trains it, which the process inherits; None without.

    Raises:
        StorageError: the process cannot be started.
    """
    _start(run, _arguments(run, handed_over), _descriptors(handed_over, device))


class Inherited(NamedTuple):
    """Locks that the process of a queued run inherits."""

    log: HandedOver
    """Log of the run, as its recorder has released it."""

    device: DeviceLock | None = None
    """Lock of the device that trains it; None to share a device with other runs."""

    series: int | None = None
    """Descriptor that holds the lock of the series whose first run it is; None to train one run."""


def spawn_entry(
    entry: Entry, run: RunDirectory, inherited: Inherited, more: Mapping[str, str]
) -> None:
    """Start a process as `spawn` does, with the program and in the directory of a queued run.

    Args:
        entry: The run's entry in the queue.
        run: The run.
        inherited: Locks for the process.
        more: Environment variables of its device.

    Raises:
        StorageError: the process cannot be started.
    """
    log, device, series = inherited
    arguments, descriptors = _arguments(run, log), _descriptors(log, device)
    if series is not None:
        arguments, descriptors = _series_arguments(run, series, log), [*descriptors, series]
    directory = entry.directory if Path(entry.directory).is_dir() else "/"
    place = _Place(entry.python, directory, environment_of(entry, more))
    _start(run, arguments, descriptors, place)


def _arguments(run: RunDirectory, handed_over: HandedOver) -> list[str]:
    return ["-m", MODULE, str(run.path.absolute()), *map(str, handed_over)]


def _descriptors(handed_over: HandedOver, device: DeviceLock | None) -> list[int]:
    return [handed_over.log, *([device.descriptor] if device else [])]


def spawn_series(first: RunDirectory, lock: int, handed_over: HandedOver | None = None) -> None:
    """Start a process in a new session that trains a series, without waiting for it.

    Args:
        first: The first run of the series.
        lock: Descriptor that holds the lock of the series.
        handed_over: What the recorder of the first run has released, if this process has begun it.

    Raises:
        StorageError: the process cannot be started.
    """
    logs = [] if handed_over is None else [handed_over.log]
    _start(first, _series_arguments(first, lock, handed_over), [lock, *logs])


def _series_arguments(first: RunDirectory, lock: int, handed_over: HandedOver | None) -> list[str]:
    numbers = [str(number) for number in (lock, *(handed_over or ()))]
    return ["-m", SERIES_MODULE, str(first.path.absolute()), *numbers]


def spawn_processes(run: RunDirectory, count: int, commands_read: int) -> int:
    """Start torchrun in a new session, with processes that train the run together.

    It starts them again from the last checkpoint if one is lost.

    Args:
        run: The run, of which no process has the lock.
        count: Number of processes.
        commands_read: Bytes of the commands file that belong to earlier sessions; later commands
            are for the processes, although they read them only once they run.

    Returns:
        Process id of torchrun.

    Raises:
        StorageError: it cannot be started.
    """
    # Imported here, so that the first screen does not wait for psutil.
    from cnn_engine.system.threads import choose_threads  # noqa: PLC0415

    program = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    options = [f"--max-restarts={MAX_RESTARTS}", f"--signals-to-handle={HANDLED_SIGNALS}"]
    threads = str(max(1, choose_threads() // count))
    environment = {"OMP_NUM_THREADS": threads} | os.environ | {"PYTHONSAFEPATH": "1"}
    with run.launch.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until torchrun ends, which inherits it
        arguments = [str(run.path.absolute()), str(commands_read)]
        command = [*program, *options, "-m", MODULE, *arguments]
        return _start(run, command, [lock.fileno()], _Place(environment=environment))


def kill_processes(process_id: int) -> None:
    """Kill torchrun and the processes that it has started, which have sessions of their own.

    Args:
        process_id: Process id of torchrun.
    """
    import psutil  # noqa: PLC0415 - the first screen does not need it

    with suppress(psutil.NoSuchProcess):
        agent = psutil.Process(process_id)
        for process in [agent, *agent.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _start(
    run: RunDirectory,
    arguments: list[str],
    inherited: Sequence[int],
    place: _Place | None = None,
) -> int:
    """Start a Python program in a new session; return its process id."""
    place = place or _Place()
    # -P: a file in the working directory must not shadow a module of the same name.
    command = [place.python or sys.executable, "-P", *arguments]
    try:
        with run.console.open("ab") as console:
            process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                pass_fds=inherited,
                env=place.environment,
                cwd=place.directory,
            )
    except OSError as error:
        raise StorageError(
            f"run {run.id}: the background process could not be started: {error.strerror}; "
            f"resume it with: {command_for('resume', run)}"
        ) from None
    # Wait for it in a thread, so that it leaves no zombie when it ends.
    Thread(target=process.wait, name="reaper", daemon=True).start()
    return process.pid
