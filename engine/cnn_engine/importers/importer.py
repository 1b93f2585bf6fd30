"""Writes a run from another program's log, and continues it as the log grows.

Values that the log does not contain (classes, images, device) stay empty. The events are made anew
from all values whenever the log has changed, so that a followed log becomes the same run as one
that is imported at its end. If they differ from those that were written, `ImportRevised` undoes the
latter.
"""

import os
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from typing import Literal

from cnn_engine.errors import ConfigError, DataError, UserError
from cnn_engine.importers.series import Series
from cnn_engine.importers.source import Report, Source, no_report
from cnn_engine.importers.timeline import Timeline, make_timeline
from cnn_engine.importers.written import Written
from cnn_engine.runlog.events import (
    Event,
    Notice,
    RunFinished,
    RunImported,
    RunStarted,
)
from cnn_engine.runlog.log import LogWriter
from cnn_engine.runlog.roles import ROLES, Role, Roles, roles_of
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.texts import listed

MAX_NAMED = 20
"""Maximum number of series named in a message."""


class Importer:
    """Reads a source and writes a run."""

    def __init__(
        self,
        source: Source,
        run: RunDirectory,
        name: str = "",
        chosen: Mapping[Role, str] | None = None,
    ) -> None:
        """Start a run in an empty directory.

        Args:
            source: The log to import.
            run: The run to write.
            name: Name of the run.
            chosen: Series by role instead of the guessed ones; empty for none.

        Raises:
            StorageError: the run cannot be written.
        """
        self._source, self._run, self._name = source, run, name
        self._chosen = dict(chosen or {})
        self._log = LogWriter(run.events)
        self._timeline: Timeline | None = None
        """The events that were written; None before the first."""
        self._written = Written()
        self._replaced = 0
        """Number of values that were replaced by later ones."""
        self._names: Collection[str] = ()
        """Names of all series."""
        self._reported: set[str] = set()
        """Texts of the notices."""
        self._unused: set[str] = set()
        """Series that were reported as not shown."""

    def poll(self, *, ended: bool = False, report: Report = no_report) -> bool:
        """Import what has changed; return True once the run has any values.

        Args:
            ended: True to import also what may be incomplete.
            report: Receives the progress.

        Raises:
            OSError: the source cannot be read at the moment.
            DataError: the format is not supported.
        """
        has_changed = self._source.poll(ended=ended, report=report)
        if has_changed or ended or self._timeline is None:
            self._import(self._source.series(), ended=ended, report=report)
        return self._timeline is not None

    def close(self, *, ended: bool, report: Report = no_report) -> None:
        """Import the rest, end the run and close its log.

        Args:
            ended: True if the source is complete, False if it may still grow.
            report: Receives the progress.

        Raises:
            ConfigError: a chosen series does not exist.
            DataError: the source has no loss and no accuracy, or cannot be read.
            StorageError: the run cannot be written.
        """
        try:
            self._read_rest(report)
            self._report_problems()
            self._finish("done" if ended else "stopped", 0, "")
        except UserError as error:
            self._finish("failed", error.exit_code, str(error))
            raise
        finally:
            self._log.close()

    def fail(self, error: str, exit_code: int) -> None:
        """End the run with an error and close its log.

        Raises:
            StorageError: the run cannot be written.
        """
        try:
            self._finish("failed", exit_code, error)
        finally:
            self._log.close()

    def report_unreadable(self, error: OSError | DataError) -> None:
        """Add a notice that the source cannot be read at the moment."""
        reason = error.strerror if isinstance(error, OSError) else str(error)
        self._notify(
            f"{self._source.path.name} cannot be read: {reason}; still trying", time.time()
        )

    def _read_rest(self, report: Report) -> None:
        path = self._source.path
        try:
            has_values = self.poll(ended=True, report=report)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
        names = sorted(self._names)
        for role, name in self._chosen.items():
            if name and name not in names:
                raise ConfigError(
                    f"--role {role}: {path} has no series {name!r}, but {listed(names, MAX_NAMED)}"
                )
        if self._timeline and not self._timeline.events:
            raise DataError(
                f"{path}: contains no loss, and no accuracy of an epoch: {listed(names, MAX_NAMED)}"
            )
        if not has_values:
            problems = [no_role(names) if names else "contains no values"]
            raise DataError(f"{path}: {'; '.join(problems + self._source.problems())}")

    def _import(self, series: Mapping[str, Series], *, ended: bool, report: Report) -> None:
        """Write the events that are new."""
        self._names = series.keys()
        roles = roles_of(series, self._chosen)
        used = {role: series[name] for role, name in roles.assigned.items() if name in series}
        timeline = make_timeline(used, steps_are_epochs=self._source.steps_are_epochs, ended=ended)
        if timeline is None:  # nothing yet, or the file is being replaced
            return
        if self._timeline is None:
            self._begin(timeline)
        self._report_roles(roles, series)
        for text in (*timeline.notices, *self._source.notices()):
            self._notify(text, timeline.end)
        self._write(timeline, report)
        self._replaced = sum(values.replaced for values in used.values())

    def _begin(self, timeline: Timeline) -> None:
        self._add(
            RunStarted(
                time=timeline.begin,
                run_id=self._run.id,
                name=self._name,
                preset=self._source.path.resolve().name,
                config={},
                pid=os.getpid(),
                host=socket.gethostname(),
                version=version("cnn-tui"),
            )
        )

    def _write(self, timeline: Timeline, report: Report) -> None:
        has_new_epochs = (
            self._timeline is None or self._timeline.steps_per_epoch != timeline.steps_per_epoch
        )
        written = self._written
        kept = written.count_equal(timeline.events)
        if kept < len(written) or (has_new_epochs and written.last_epoch > 1):
            # Steps of later epochs have other numbers if the length of an epoch is another.
            kept = 0 if has_new_epochs else kept
            written.remove_from(kept)
            self._add(written.revision(timeline.end))
        if has_new_epochs:
            self._add(
                RunImported(
                    time=timeline.begin,
                    source=str(self._source.path),
                    steps_per_epoch=timeline.steps_per_epoch,
                )
            )
        for event in timeline.events[kept:]:
            self._add(event)
            written.append(event)
            report("writing events", len(written), len(timeline.events))
        self._timeline = timeline

    # Messages.

    def _report_roles(self, roles: Roles, series: Mapping[str, Series]) -> None:
        """Report the series that are used, unclear, or not shown, once each."""
        newest = max(max(values.times, default=0.0) for values in series.values())
        for role in ROLES:
            if name := roles.assigned.get(role):
                self._notify(f"{name} is used as {ROLES[role]}", newest)
        for role, names in roles.unclear.items():
            self._notify(
                f"Not clear which series is the {ROLES[role]}: {listed(names, MAX_NAMED)}; choose "
                f"with --role {role}=NAME",
                newest,
            )
        known = {
            *roles.assigned.values(),
            *(name for names in roles.unclear.values() for name in names),
        }
        others = sorted(series.keys() - known - self._unused)
        self._unused.update(others)
        if others:
            self._notify(f"Not shown: {listed(others, MAX_NAMED)}", newest)

    def _report_problems(self) -> None:
        problems = self._source.problems()
        if self._replaced:
            values = "value was" if self._replaced == 1 else "values were"
            problems.append(
                f"{self._replaced} {values} replaced by later ones of the same or an earlier step"
            )
        for problem in problems:
            self._notify(problem, self._timeline.end if self._timeline else 0.0)

    def _notify(self, text: str, when: float) -> None:
        if text not in self._reported:
            self._reported.add(text)
            self._add(Notice(time=when, text=text, severity="info"))

    def _finish(
        self, status: Literal["done", "stopped", "failed"], exit_code: int, error: str
    ) -> None:
        """End the run, if it has begun."""
        if timeline := self._timeline:
            seconds = max(0.0, timeline.end - timeline.begin)
            self._add(
                RunFinished(
                    time=timeline.end,
                    status=status,
                    exit_code=exit_code,
                    seconds=seconds,
                    error=error,
                )
            )

    def _add(self, event: Event) -> None:
        self._log.append(event)


def no_role(names: Sequence[str]) -> str:
    """Return the problem that there is nothing to show."""
    return f"no series is a loss or an accuracy: {listed(names, MAX_NAMED)}"
