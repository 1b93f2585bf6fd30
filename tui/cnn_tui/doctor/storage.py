"""Checks of the directories that a run writes to."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

from cnn_engine.config.paths import exists
from cnn_engine.data.cache import cache_directory
from cnn_engine.errors import StorageError
from cnn_engine.runs.directory import default_runs_dir, iter_runs
from cnn_tui.doctor.check import Check, Fact, Facts
from cnn_tui.doctor.file_systems import NETWORK, Trial, file_system, try_directory
from cnn_tui.text.numbers import bytes_text

LOW_BYTES = 1e9
"""Free disk space that may not be enough."""

MAX_SECONDS = 10.0
"""Time to wait for a directory, whose server may not answer."""


UNKNOWN: Facts = {"path": None, "file_system": None, "free_bytes": None, "locks": None}
"""Facts about a directory that cannot be checked."""


def check_storage(runs_dir: Path | None) -> Iterator[Check]:
    """Yield the checks.

    Args:
        runs_dir: Directory of the runs; None for the default.
    """
    yield _in_time("runs", lambda: _runs(runs_dir))
    yield _in_time("image cache", lambda: _directory("image cache", cache_directory(), CACHE))
    yield _in_time("temporary", lambda: _directory("temporary", Path(_temporary()), TEMPORARY))


RUNS, CACHE, TEMPORARY = (
    "use --runs-dir DIR",
    "set XDG_CACHE_HOME to another directory",
    "set TMPDIR to another directory",
)


def _runs(runs_dir: Path | None) -> Check:
    try:
        directory = runs_dir or default_runs_dir(for_new_run=True)
    except StorageError as error:
        return _failed("runs", str(error))._replace(advice=RUNS)
    check = _directory("runs", directory, RUNS, keeps_runs=True)
    count = sum(1 for _ in iter_runs(directory))
    value = f"{check.value}, {count:,} run{'s' * (count != 1)}"
    return check._replace(value=value, facts={**check.facts, "runs": count})


def _directory(name: str, directory: Path, advice: str, *, keeps_runs: bool = False) -> Check:
    """Check that a directory, which may not exist yet, can be written, locked, and has space."""
    path = directory.absolute()
    existing = next(parent for parent in (path, *path.parents) if exists(parent))
    kind = file_system(existing)
    trial = try_directory(existing)
    facts: dict[str, Fact] = {**UNKNOWN, "path": str(path), "file_system": kind or None}
    # Without cache and temporary directory training works, only slower.
    code = StorageError.exit_code if keeps_runs else 0
    worst = Check(name, "", "error" if keeps_runs else "warning", advice, code)
    if trial.error:
        return worst._replace(value=f"{path} cannot be written: {trial.error}", facts=facts)
    facts |= {"free_bytes": trial.free_bytes, "locks": trial.locks}
    network = f", on a network file system ({kind})" if kind.startswith(NETWORK) else ""
    value = f"{path}, {bytes_text(trial.free_bytes)} free{network}"
    if keeps_runs and trial.locks != "work":
        return _without_locks(worst, value, trial)._replace(facts=facts)
    if trial.free_bytes < LOW_BYTES:
        return Check(name, value, "warning", f"free disk space, or {advice}", facts=facts)
    return Check(name, value, facts=facts)


def _without_locks(worst: Check, value: str, trial: Trial) -> Check:
    advice = f"choose a local disk: {RUNS}, or mount this one with locks (flock)"
    if trial.locks == "fail":
        return worst._replace(value=f"{value}; a file cannot be locked", advice=advice)
    value = f"{value}; locks have no effect, so that two processes could train the same run"
    return worst._replace(value=value, state="warning", advice=advice, exit_code=0)


def _temporary() -> str:
    """Return the directory of temporary files; an unusable one if there is none."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - only checked


def _in_time(name: str, check: Callable[[], Check]) -> Check:
    """Return the check; an error if its directory does not answer, or is gone."""
    found: list[Check] = []

    def run() -> None:
        try:
            found.append(check())
        except OSError as error:  # the working directory was removed
            found.append(_failed(name, f"the working directory: {error.strerror or error}"))

    thread = Thread(target=run, name=f"check {name}", daemon=True)
    thread.start()
    thread.join(MAX_SECONDS)
    silent = f"the directory has not answered within {MAX_SECONDS:.0f} s"
    return found[0] if found else _failed(name, silent)


def _failed(name: str, value: str) -> Check:
    facts, code = UNKNOWN, 0
    if name == "runs":
        facts, code = {**UNKNOWN, "runs": None}, StorageError.exit_code
    return Check(name, value, "error", "choose a directory on a local disk", code, facts)
