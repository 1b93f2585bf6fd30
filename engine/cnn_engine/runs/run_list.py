"""All runs of a directory: read once, and kept up to date by looking at little."""

import os
import time
from collections.abc import Generator
from pathlib import Path

from cnn_engine.runs.directory import RunDirectory, iter_runs
from cnn_engine.runs.summary import LIVE, OpenLog, RunSummary, read_summary_in_steps

SETTLED_SECONDS = 0.1
"""What was changed a moment ago may be so again within one tick of the file system's clock."""


class RunList:
    """The runs of a directory, newest first.

    A run that has ended changes only with its directory, in which marks, summary and checkpoints
    are replaced, not written over: one look at that tells. A live one is asked each time.
    """

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._known: dict[str, RunSummary] = {}
        self._seen: dict[str, int | None] = {}
        self._logs: dict[str, OpenLog] = {}
        self._is_sorted = True
        self.runs: tuple[RunSummary, ...] = ()
        """As of the last look; the same object as long as nothing has changed."""

    def refresh(self) -> None:
        """Take in what has changed."""
        for _ in self.refresh_in_steps():
            pass

    def refresh_in_steps(self) -> Generator[None]:
        """As `refresh`, pausing after every run, and within long logs."""
        found = set()
        for run in iter_runs(self._runs_dir):
            found.add(run.id)
            if self._may_have_changed(run):
                yield from self._read(run)
            yield
        for gone in self._known.keys() - found:
            self._forget(gone)
        self.sort()

    def sort(self) -> None:
        """Bring `runs` up to date with what has been read so far."""
        if not self._is_sorted:
            self.runs = tuple(sorted(self._known.values(), key=_newness, reverse=True))
            self._is_sorted = True

    def _may_have_changed(self, run: RunDirectory) -> bool:
        known = self._known.get(run.id)
        if known is None or known.status in LIVE:
            return True
        changed = _changed(run)
        return changed is None or changed != self._seen[run.id]

    def _read(self, run: RunDirectory) -> Generator[None]:
        self._seen[run.id] = _changed(run)
        log = self._logs.get(run.id) or OpenLog(run)
        summary = yield from read_summary_in_steps(run, log)
        if summary != self._known.get(run.id):
            self._known[run.id], self._is_sorted = summary, False
        if summary.status in LIVE:
            self._logs[run.id] = log
        else:
            self._logs.pop(run.id, None)

    def _forget(self, run_id: str) -> None:
        self._is_sorted = False
        for known in (self._known, self._seen, self._logs):
            known.pop(run_id, None)


def _changed(run: RunDirectory) -> int | None:
    """When the directory was changed last, in ns; None where that is not settled, or not known."""
    try:
        changed = os.stat(run.path).st_mtime_ns  # noqa: PTH116 - asked of every run of a list
    except OSError:
        return None
    return changed if time.time_ns() - changed > SETTLED_SECONDS * 1e9 else None


def _newness(run: RunSummary) -> tuple[float, str]:
    return run.started, run.run_id
