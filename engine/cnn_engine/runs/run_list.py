"""List of all runs in a directory, which rereads only runs that may have changed."""

import os
import time
from collections.abc import Generator
from pathlib import Path

from cnn_engine.runs.directory import RunDirectory, iter_runs
from cnn_engine.runs.summary import CHANGING, OpenLog, RunSummary, read_summary_in_steps

SETTLED_SECONDS = 0.1
"""Age from which a modification time is trusted: changes within one clock tick share the time."""


class RunList:
    """The runs of a directory, newest first.

    Files of a finished run are replaced, not overwritten, so that the modification time of its
    directory shows every change. Live and queued runs are read on each refresh.
    """

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._known: dict[str, RunSummary] = {}
        self._seen: dict[str, int | None] = {}
        self._logs: dict[str, OpenLog] = {}
        self._is_sorted = True
        self.runs: tuple[RunSummary, ...] = ()
        """Summaries as of the last refresh; the same object as long as nothing has changed."""

    def refresh(self) -> None:
        """Read the runs that have changed."""
        for _ in self.refresh_in_steps():
            pass

    def refresh_in_steps(self) -> Generator[None]:
        """Do the same as `refresh`, yielding after every run and within long logs."""
        found = set()
        for run in iter_runs(self._runs_dir):
            found.add(run.id)
            if self._may_have_changed(run):
                yield from self._read(run)
            yield
        for run_id in self._known.keys() - found:
            self._forget(run_id)
        self.sort()

    def sort(self) -> None:
        """Update `runs` from what has been read so far."""
        if not self._is_sorted:
            self.runs = tuple(sorted(self._known.values(), key=_start_order, reverse=True))
            self._is_sorted = True

    def _may_have_changed(self, run: RunDirectory) -> bool:
        known = self._known.get(run.id)
        if known is None or known.status in CHANGING:
            return True
        modified = _modified(run)
        return modified is None or modified != self._seen[run.id]

    def _read(self, run: RunDirectory) -> Generator[None]:
        self._seen[run.id] = _modified(run)
        log = self._logs.get(run.id) or OpenLog(run)
        summary = yield from read_summary_in_steps(run, log)
        if summary != self._known.get(run.id):
            self._known[run.id], self._is_sorted = summary, False
        if summary.status in CHANGING:
            self._logs[run.id] = log
        else:
            self._logs.pop(run.id, None)

    def _forget(self, run_id: str) -> None:
        self._is_sorted = False
        for cache in (self._known, self._seen, self._logs):
            cache.pop(run_id, None)


def _modified(run: RunDirectory) -> int | None:
    """Return the directory's modification time in ns; None if it is too recent or unknown."""
    try:
        modified = os.stat(run.path).st_mtime_ns  # noqa: PTH116 - faster, and called for every run
    except OSError:
        return None
    return modified if time.time_ns() - modified > SETTLED_SECONDS * 1e9 else None


def _start_order(run: RunSummary) -> tuple[float, str]:
    return run.started, run.run_id
