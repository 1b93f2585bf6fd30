"""Runs that are deleted: kept beside the others until they are removed for good."""

import os
import shutil
import stat
from pathlib import Path

from cnn_engine.errors import ConfigError, RunHeldError, StorageError
from cnn_engine.runs.directory import RunDirectory, find_run, list_runs
from cnn_engine.runs.summary import LIVE, read_summary

TRASH = ".trash"
"""Directory in that of the runs, where no run is looked for."""


def delete(run: RunDirectory) -> RunDirectory:
    """Move a run to the trash; where it lies now.

    Raises:
        RunHeldError: it is live.
        StorageError: it cannot be moved.
    """
    if read_summary(run).status in LIVE:
        raise RunHeldError(
            f"run {run.id}: is live, and cannot be deleted; first: cnn-tui stop {run.id}"
        )
    trash = _made(run.path.parent)
    return _moved(run, _free_place(trash, run.id))


def list_trash(runs_dir: Path) -> list[RunDirectory]:
    """The runs in the trash, newest first."""
    trash = runs_dir / TRASH
    return list_runs(trash) if _is_directory(trash) else []


def restore(runs_dir: Path, reference: str) -> RunDirectory:
    """Take a run out of the trash again; where it lies now.

    Args:
        runs_dir: Where the runs are.
        reference: Its id, or the start of that.

    Raises:
        ConfigError: no single run in the trash is named so.
        StorageError: it cannot be moved, as where another has its id by now.
    """
    if not list_trash(runs_dir):
        raise ConfigError(f"{runs_dir}: its trash is empty")
    run = find_run(runs_dir / TRASH, reference)
    place = runs_dir / run.id.partition("~")[0]
    if os.path.lexists(place):
        raise StorageError(f"{place}: is there already; move it away to restore {run.id}")
    return _moved(run, place)


def empty_trash(runs_dir: Path) -> int:
    """Remove the runs in the trash for good; how many they were.

    Raises:
        StorageError: one cannot be removed.
    """
    runs = list_trash(runs_dir)
    for run in runs:
        try:
            shutil.rmtree(run.path)  # follows no link
        except OSError as error:
            raise StorageError(f"{run.path}: cannot be removed: {error.strerror}") from None
    return len(runs)


def _moved(run: RunDirectory, place: Path) -> RunDirectory:
    try:
        return RunDirectory(run.path.rename(place))
    except OSError as error:
        raise StorageError(f"{run.path}: cannot be moved: {error.strerror}") from None


def _made(runs_dir: Path) -> Path:
    """The trash of these runs; a link in its place might lead anywhere."""
    trash = runs_dir / TRASH
    try:
        trash.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(f"{trash}: cannot be made: {error.strerror}") from None
    if not _is_directory(trash):
        raise StorageError(f"{trash}: is no directory, but a link; remove it to delete runs")
    return trash


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _free_place(trash: Path, run_id: str) -> Path:
    """The run's own id, or where another of that id was deleted before, one with a number."""
    place, number = trash / run_id, 1
    while os.path.lexists(place):
        number += 1
        place = trash / f"{run_id}~{number}"
    return place
