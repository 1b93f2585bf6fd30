"""Moves runs to the trash, restores them, and removes them for good."""

import os
import shutil
import stat
from pathlib import Path

from cnn_engine.errors import ConfigError, RunHeldError, StorageError
from cnn_engine.runs.directory import RunDirectory, list_runs
from cnn_engine.runs.hints import command_for
from cnn_engine.runs.lookup import find_run
from cnn_engine.runs.summary import LIVE, read_summary

TRASH = ".trash"
"""Subdirectory of the runs directory that lists of runs skip."""


def delete(run: RunDirectory) -> RunDirectory:
    """Move a run to the trash and return its new directory.

    Raises:
        RunHeldError: the run is live.
        StorageError: the run cannot be moved.
    """
    if read_summary(run).status in LIVE:
        raise RunHeldError(
            f"run {run.id}: is running and cannot be deleted; stop it first: "
            f"{command_for('stop', run)}"
        )
    trash = _make_trash(run.path.parent)
    return _move(run, _free_path(trash, run.id))


def list_trash(runs_dir: Path) -> list[RunDirectory]:
    """Return the runs in the trash, newest first."""
    trash = runs_dir / TRASH
    return list_runs(trash) if _is_directory(trash) else []


def restore(runs_dir: Path, reference: str) -> RunDirectory:
    """Move a run out of the trash and return its new directory.

    Args:
        runs_dir: Directory of the runs.
        reference: The run's id, or another reference as `find_run` accepts it.

    Raises:
        ConfigError: no run, or more than one, in the trash matches.
        StorageError: the run cannot be moved, or another run has its id.
    """
    if not list_trash(runs_dir):
        raise ConfigError(f"{runs_dir}: the trash is empty")
    run = find_run(runs_dir / TRASH, reference, listed_by="trash")
    path = runs_dir / run.id.partition("~")[0]
    if os.path.lexists(path):
        raise StorageError(f"{path}: already exists; move it away to restore {run.id}")
    return _move(run, path)


def empty_trash(runs_dir: Path) -> int:
    """Permanently remove the runs in the trash and return their number.

    Raises:
        StorageError: a run cannot be removed.
    """
    runs = list_trash(runs_dir)
    for run in runs:
        try:
            shutil.rmtree(run.path)  # does not follow links
        except OSError as error:
            raise StorageError(f"{run.path}: cannot be removed: {error.strerror}") from None
    return len(runs)


def _move(run: RunDirectory, path: Path) -> RunDirectory:
    try:
        return RunDirectory(run.path.rename(path))
    except OSError as error:
        raise StorageError(f"{run.path}: cannot be moved: {error.strerror}") from None


def _make_trash(runs_dir: Path) -> Path:
    """Create the trash if it is missing and return it; a link is refused."""
    trash = runs_dir / TRASH
    try:
        trash.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(f"{trash}: cannot be created: {error.strerror}") from None
    if not _is_directory(trash):
        raise StorageError(f"{trash}: is not a directory; remove it to delete runs")
    return trash


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _free_path(trash: Path, run_id: str) -> Path:
    """Return an unused path in the trash: the run's id, with a number if it is taken."""
    path, number = trash / run_id, 1
    while os.path.lexists(path):
        number += 1
        path = trash / f"{run_id}~{number}"
    return path
