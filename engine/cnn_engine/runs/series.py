"""Runs of the same series, such as folds, values of a key, or repetitions with other seeds."""

import fcntl
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from cnn_engine.config.dotted_keys import dotted_keys
from cnn_engine.errors import RunHeldError, StorageError
from cnn_engine.runlog.events import RunStarted
from cnn_engine.runs.directory import RunDirectory, first_event, iter_runs
from cnn_engine.storage.locks import LOOK_SECONDS, is_locked, open_locked

LOCK = "series.lock"
"""File in the directory of the first run, locked by the process that trains the series."""

STOP = "series.stop"
"""File in the directory of the first run: no further run of the series is started."""


def runs_of_group(runs_dir: Path, group: str) -> list[RunDirectory]:
    """Return the runs of a series, in their order.

    Args:
        runs_dir: Directory of the runs.
        group: Id of the series, which is usually that of its first run.
    """
    found = [(_order(started), run) for run, started in _started_in(runs_dir, group)]
    return [run for _, run in sorted(found, key=lambda pair: (*pair[0], pair[1].id))]


def runs_of_series(run: RunDirectory, differing: Collection[str]) -> list[RunDirectory]:
    """Return the runs of a run's series whose configs differ in some keys only, with the run.

    Args:
        run: A run; without a series, the list is empty.
        differing: Keys that may differ, such as `data.fold`.
    """
    own = first_event(run)
    if not isinstance(own, RunStarted) or not own.group:
        return []
    config = _without(own, differing)
    return [
        other
        for other, started in _started_in(run.path.parent, own.group)
        if _without(started, differing) == config
    ]


def group_of(run: RunDirectory) -> str:
    """Return the id of a run's series; empty if it belongs to none."""
    started = first_event(run)
    return started.group if isinstance(started, RunStarted) else ""


def member_of(run: RunDirectory) -> int:
    """Return a run's number in its series, from 1; 0 if unknown."""
    started = first_event(run)
    return started.member if isinstance(started, RunStarted) else 0


def _started_in(runs_dir: Path, group: str) -> Iterator[tuple[RunDirectory, RunStarted]]:
    """Yield the runs of a group, each with its first event."""
    for run in iter_runs(runs_dir):
        started = first_event(run)
        if isinstance(started, RunStarted) and started.group == group:
            yield run, started


def _order(started: RunStarted) -> tuple[int, float]:
    return started.member, started.time


def _without(started: RunStarted, keys: Collection[str]) -> dict[str, Any]:
    """Return a config by dotted keys, without some of them."""
    return {key: value for key, value in dotted_keys(started.config).items() if key not in keys}


def is_trained(first: RunDirectory) -> bool:
    """Return True while a process on this machine trains the series of a first run."""
    try:
        return is_locked(first.path / LOCK)
    except OSError:
        return False


def lock_series(first: RunDirectory, inherited: int | None = None) -> int:
    """Lock a series; return the descriptor, which holds the lock until it is closed.

    Args:
        first: The first run.
        inherited: Descriptor that another process has locked and handed over; None to lock here.

    Raises:
        RunHeldError: another process trains the series.
        StorageError: the file cannot be written or locked.
    """
    if inherited is not None:
        os.set_inheritable(inherited, False)
        return inherited
    path = first.path / LOCK
    try:
        descriptor = open_locked(path, fcntl.LOCK_EX, LOOK_SECONDS)
    except OSError as error:
        raise StorageError(f"{path}: cannot be locked: {error.strerror}") from None
    if descriptor is None:
        raise RunHeldError(f"series {first.id}: another process is training it")
    return descriptor


def request_series_stop(first: RunDirectory) -> None:
    """Ask the process that trains a series to start no further run.

    Raises:
        StorageError: the request cannot be written.
    """
    path = first.path / STOP
    try:
        path.touch()
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


def is_stop_requested(first: RunDirectory) -> bool:
    """Return True if no further run of a series is to be started."""
    return (first.path / STOP).exists()


def forget_stop(first: RunDirectory) -> None:
    """Remove an earlier request to stop, as the series is resumed."""
    (first.path / STOP).unlink(missing_ok=True)
