"""Writes a run from another program's log, and continues it as the log grows.

Values that the log does not contain (classes, images, device) stay empty. The events are made anew
from all values whenever the log has changed, so that a followed log becomes the same run as one
that is imported at its end. If they differ from those that were written, `ImportRevised` undoes the
latter.
"""

import os
import socket
import time
from collections.abc import Collection, Mapping
from heapq import merge
from importlib.metadata import version
from itertools import islice
from typing import Literal

from cnn_engine.errors import ConfigError, DataError, UserError
from cnn_engine.importers.scalars import scalar_events
from cnn_engine.importers.series import Series
from cnn_engine.importers.settings import Settings, epoch_length
from cnn_engine.importers.source import Source
from cnn_engine.importers.timeline import Timeline, make_timeline
from cnn_engine.importers.written import Written
from cnn_engine.progress import Progress, no_progress
from cnn_engine.runlog.events import (
    LOOP_TABLE,
    ConfigReplaced,
    EpochFinished,
    Event,
    Notice,
    RunFinished,
    RunImported,
    RunStarted,
    ScalarsLogged,
    StepsFinished,
)
from cnn_engine.runlog.flat_config import planned_epochs
from cnn_engine.runlog.log import LogWriter
from cnn_engine.runlog.roles import ROLES, Role, Roles, roles_of
from cnn_engine.runlog.series import MAX_NAME, MAX_SERIES
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
        self._settings: Settings = {}
        """Settings of the other program."""
        self._imported: RunImported | None = None
        """The latest such event."""
        self._written = Written()
        self._replaced = 0
        """Number of values that were replaced by later ones."""
        self._is_unclear = False
        """True if several series could have the same role."""
        self._left_out = 0
        """Number of series beyond the limit."""
        self._names: Collection[str] = ()
        """Names of all series."""
        self._reported: set[str] = set()
        """Texts of the notices."""

    def poll(self, *, ended: bool = False, report: Progress = no_progress) -> bool:
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
            series = _with_short_names(self._source.series())
            self._import(series, ended=ended, report=report)
        return self._timeline is not None

    def close(self, *, ended: bool, report: Progress = no_progress) -> None:
        """Import the rest, end the run and close its log.

        Args:
            ended: True if the source is complete, False if it may still grow.
            report: Receives the progress.

        Raises:
            ConfigError: a chosen series does not exist.
            DataError: the source has no values, or cannot be read.
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

    def _read_rest(self, report: Progress) -> None:
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
        if not has_values:
            problems = ["contains no values", *self._source.problems()]
            raise DataError(f"{path}: {'; '.join(problems)}")

    def _import(self, series: Mapping[str, Series], *, ended: bool, report: Progress) -> None:
        """Write the events that are new."""
        self._names = series.keys()
        settings = self._source.settings()
        roles = roles_of(series, self._chosen)
        kept = _kept_series(series, roles)
        length = epoch_length(self._source.steps_per_epoch, settings)
        timeline = make_timeline(
            kept,
            roles.assigned,
            steps_are_epochs=self._source.steps_are_epochs,
            steps_per_epoch=length,
            ended=ended,
        )
        if timeline is None:  # nothing yet, or the file is being replaced
            return
        self._set_settings(settings, timeline)
        self._report_roles(roles, timeline)
        for text in (*timeline.notices, *self._source.notices()):
            self._notify(text, timeline.end)
        self._left_out = len(series) - len(kept)
        # With several validations in an epoch the run's epochs are the time between these.
        is_planned = length in (0, timeline.layout.steps_per_epoch)
        epochs = planned_epochs(settings) if is_planned else 0
        self._write(timeline, epochs, ended=ended, report=report)
        self._replaced = sum(values.replaced for values in kept.values())

    def _set_settings(self, settings: Settings, timeline: Timeline) -> None:
        """Begin the run with the settings of the other program, or replace those of before."""
        preset = self._source.path.resolve().name
        config = {LOOP_TABLE: settings} if settings else {}
        if self._timeline is None:
            self._add(
                RunStarted(
                    time=timeline.begin,
                    run_id=self._run.id,
                    name=self._name,
                    preset=preset,
                    config=config,
                    pid=os.getpid(),
                    host=socket.gethostname(),
                    version=version("cnn-tui"),
                )
            )
        elif settings != self._settings:
            reason = "The settings of the imported log have changed"
            self._add(
                ConfigReplaced(time=timeline.end, preset=preset, config=config, reason=reason)
            )
        self._settings = settings

    def _write(self, timeline: Timeline, epochs: int, *, ended: bool, report: Progress) -> None:
        """Write what a timeline has more; `epochs` are planned, 0 if unknown."""
        written = self._written
        if revision := written.revise(timeline):
            self._add(revision)
        layout = timeline.layout
        imported = RunImported(
            time=timeline.begin,
            source=str(self._source.path),
            steps_per_epoch=layout.steps_per_epoch if layout.has_epochs else 0,
            epochs=epochs,
        )
        if imported != self._imported:
            self._imported = imported
            self._add(imported)
        new = timeline.events[written.events :]
        values = scalar_events(timeline, written.values)
        total = len(timeline.ends) + len(timeline.events)
        for done, (step, event) in enumerate(merge(new, values, key=_order), 1):
            self._add(event)
            if not isinstance(event, ScalarsLogged):
                written.append(step, event)
            report("writing events", done, total)
        if not ended:
            written.update(timeline)
        self._timeline = timeline

    # Messages.

    def _report_roles(self, roles: Roles, timeline: Timeline) -> None:
        """Report the series that are used or unclear, once each."""
        for role in ROLES:
            if name := timeline.roles.get(role):
                self._notify(f"{name} is used as {ROLES[role]}", timeline.end)
        self._is_unclear = bool(roles.unclear)
        for role, names in roles.unclear.items():
            self._notify(
                f"Not clear which series is the {ROLES[role]}: {listed(names, MAX_NAMED)}; choose "
                f"with --role {role}=NAME",
                timeline.end,
            )

    def _report_problems(self) -> None:
        problems = self._source.problems()
        if self._replaced:
            values = "value was" if self._replaced == 1 else "values were"
            problems.append(
                f"{self._replaced} {values} replaced by later ones of the same or an earlier step"
            )
        if self._left_out:
            problems.append(
                f"A run has at most {MAX_SERIES:,} series; {self._left_out:,} are left out"
            )
        if self._timeline and not self._timeline.roles and not self._is_unclear:
            problems.append(
                "No series is clearly a loss or an accuracy; --role ROLE=SERIES chooses one"
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


def _order(item: tuple[int, StepsFinished | EpochFinished | ScalarsLogged]) -> tuple[int, bool]:
    """Return the sort key of an event: values precede the end of the epoch at their step."""
    step, event = item
    return step, isinstance(event, EpochFinished)


def _kept_series(series: Mapping[str, Series], roles: Roles) -> dict[str, Series]:
    """Return as many series as a run can have, among them those with a role."""
    first = dict.fromkeys((*roles.assigned.values(), *series))
    kept = set(islice((name for name in first if name in series), MAX_SERIES))
    return {name: values for name, values in series.items() if name in kept}


def _with_short_names(series: Mapping[str, Series]) -> dict[str, Series]:
    """Return the series with names that are not too long for a run."""
    found: dict[str, Series] = {}
    for name, values in series.items():
        short, number = name[:MAX_NAME], 1
        while short in found or (short != name and short in series):
            number += 1
            end = f"~{number}"
            short = name[: MAX_NAME - len(end)] + end
        found[short] = values
    return found
