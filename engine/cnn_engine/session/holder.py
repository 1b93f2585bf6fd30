"""Starts queued runs, each when a device is free, until none waits any more.

    python -m cnn_engine.session.holder

One process of this kind runs at a time. If it is killed, the runs that it has started train on, and
the next command of the program, or the next run that ends, starts another one.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cnn_engine.errors import RunHeldError, StorageError
from cnn_engine.queue.devices import VISIBLE, DeviceLock, device_names, take_device, variables
from cnn_engine.queue.entries import Entry, changed_entries, read_entries, remove_entry
from cnn_engine.queue.files import queue_directory
from cnn_engine.runlog.events import RunFinished
from cnn_engine.runs.directory import RunDirectory, is_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.series import lock_series
from cnn_engine.session.holder_process import LOCK_FILE, can_start
from cnn_engine.session.spawn import Inherited, spawn_entry
from cnn_engine.storage.locks import open_locked

POLL_SECONDS = 0.5
"""Interval at which devices are tried and the queue is read."""


def main() -> None:
    """Start queued runs until there are none, unless another process does."""
    with suppress(OSError):
        lock = open_locked(queue_directory() / LOCK_FILE, fcntl.LOCK_EX)
        if lock is None:
            return
        while not _ends(lock):
            start_free()
            time.sleep(POLL_SECONDS)


def _ends(lock: int) -> bool:
    """Release the lock and return True if no entry waits.

    Whoever adds an entry meanwhile waits, finds the lock free then, and starts another holder.
    """
    if any(map(can_start, read_entries())):
        return False
    try:
        with changed_entries() as entries:
            if any(map(can_start, entries)):
                return False
            os.close(lock)
    except StorageError:
        pass  # as on a full disk; the lock is released with the process
    return True


def start_free() -> None:
    """Start the first entries for whose devices no run trains, and drop those that are gone."""
    busy: set[str] = set()
    for entry in read_entries():
        if entry.held:
            continue
        run = RunDirectory(Path(entry.run))
        if not is_run(run.path):
            if run.path.parent.is_dir():  # otherwise its disk may come back
                _drop(run)
            continue
        names = device_names(entry.device, entry.environment.get(VISIBLE))
        for name in names:
            if name in busy:
                continue
            # In this pass a busy device stays busy: later entries must not overtake.
            busy.add(name)
            with suppress(OSError):
                device = take_device(name, run.path)
                if device is not None:
                    try:
                        if not start(entry, run, device, name if len(names) > 1 else ""):
                            busy.discard(name)
                    finally:
                        device.close()
                    break


def start(
    entry: Entry, run: RunDirectory, device: DeviceLock | None = None, name: str = ""
) -> bool:
    """Start a queued run, and remove its entry; keep the entry if it may start later.

    Args:
        entry: Its entry.
        run: The run.
        device: The lock of its device, which it inherits; None to start it on a busy device.
        name: Name of its device; empty to leave the choice to the run.

    Returns:
        True if it is started.
    """
    try:
        with Recorder(run) as recorder:
            if recorder.state.phase == "queued":
                if shutil.which(entry.python) is None:
                    _fail(recorder, f"{entry.python}, which queued the run, does not exist now")
                else:
                    _spawn(entry, run, Inherited(recorder.release(), device), variables(name))
            # Removed after the start: of a killed holder, the next one finds the run started.
            _drop(run)
    except (RunHeldError, StorageError):
        return False  # it is being cancelled or was started; or its disk is full
    return True


def _spawn(entry: Entry, run: RunDirectory, inherited: Inherited, more: Mapping[str, str]) -> None:
    """Start the process of a run, or of the series whose first run it is."""
    if not entry.is_series:
        spawn_entry(entry, run, inherited, more)
        return
    lock = lock_series(run)
    try:
        spawn_entry(entry, run, inherited._replace(series=lock), more)
    finally:
        os.close(lock)


def _fail(recorder: Recorder, error: str) -> None:
    seconds = recorder.state.elapsed_seconds
    recorder.record(RunFinished(status="failed", exit_code=5, seconds=seconds, error=error))


def _drop(run: RunDirectory) -> None:
    with suppress(StorageError):  # tried again
        remove_entry(run.path)


if __name__ == "__main__":
    main()
