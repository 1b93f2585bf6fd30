"""Moves runs to the trash, restores them, and removes them for good."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from cnn_engine.errors import ConfigError, RunHeldError, StorageError
from cnn_engine.runs.directory import RunDirectory, list_runs
from cnn_engine.runs.hints import command_in, how_to_stop
from cnn_engine.runs.lookup import find_run
from cnn_engine.runs.queued import cancel
from cnn_engine.runs.summary import LIVE, read_state, read_summary

TRASH = ".trash"
"""Subdirectory of the runs directory that lists of runs skip. Where it belongs to another user and
cannot be written, a user has one of their own: `.trash-1000`, with the user's id."""


def delete(run: RunDirectory) -> RunDirectory:
    """Move a run to the trash and return its new directory; a queued one is cancelled.

    Raises:
        RunHeldError: the run is live.
        StorageError: the run cannot be moved.
    """
    status = read_summary(run).status
    if status == "queued":
        cancel(run, by="delete")
    if status in LIVE:
        raise RunHeldError(
            f"run {run.id}: is running and cannot be deleted; "
            f"{how_to_stop(read_state(run)[0], run)}"
        )
    trash, is_new = _make_trash(run.path.parent)
    try:
        return _move(run, _free_path(trash, run.id))
    except StorageError:
        if is_new:
            trash.rmdir()
        raise


def list_trash(runs_dir: Path) -> list[RunDirectory]:
    """Return the runs in the trash, newest first; those of each user together."""
    return [run for trash in trash_directories(runs_dir) for run in list_runs(trash)]


def list_removable(runs_dir: Path) -> list[RunDirectory]:
    """Return the runs in the trash that `empty_trash` would remove: not those of other users."""
    return [run for run in list_trash(runs_dir) if os.access(run.path.parent, os.W_OK)]


def trash_directories(runs_dir: Path) -> list[Path]:
    """Return the directories with deleted runs, of all users; links are skipped."""
    return [path for path in sorted(runs_dir.glob(f"{TRASH}*")) if _is_directory(path)]


def restore(runs_dir: Path, reference: str) -> RunDirectory:
    """Move a run out of the trash and return its new directory.

    Args:
        runs_dir: Directory of the runs.
        reference: The run's id, or another reference as `find_run` accepts it.

    Raises:
        ConfigError: no run, or more than one, in the trash matches.
        StorageError: the run cannot be moved, or another run has its id.
    """
    directories = [run.path.parent for run in list_trash(runs_dir)]
    if not directories:
        raise ConfigError(f"{runs_dir}: the trash is empty")
    listing = command_in(runs_dir, "trash")
    *others, last = dict.fromkeys(directories)
    for trash in others:
        with suppress(ConfigError):
            run = find_run(trash, reference, listing=listing)
            break
    else:
        run = find_run(last, reference, listing=listing)
    path = runs_dir / run.id.partition("~")[0]
    if os.path.lexists(path):
        raise StorageError(f"{path}: already exists; move it away to restore {run.id}")
    return _move(run, path)


def empty_trash(runs_dir: Path) -> int:
    """Permanently remove the runs in the trash and return their number.

    Raises:
        StorageError: a run cannot be removed.
    """
    runs = list_removable(runs_dir)
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


def _make_trash(runs_dir: Path) -> tuple[Path, bool]:
    """Create the trash if it is missing; return it and True if it is new. A link is refused."""
    trash = runs_dir / TRASH
    if _is_directory(trash) and not os.access(trash, os.W_OK):  # another user's
        trash = runs_dir / f"{TRASH}-{os.geteuid()}"
    try:
        trash.mkdir()
    except FileExistsError:
        if not _is_directory(trash):
            raise StorageError(f"{trash}: is not a directory; remove it to delete runs") from None
        return trash, False
    except OSError as error:
        raise StorageError(f"{trash}: cannot be created: {error.strerror}") from None
    return trash, True


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
