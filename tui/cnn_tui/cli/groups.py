"""References to a series of runs on the command line: `group:RUN`, or its name."""

from pathlib import Path
from typing import NamedTuple

from cnn_engine.errors import ConfigError
from cnn_engine.runlog.events import RunStarted
from cnn_engine.runs.directory import RunDirectory, default_runs_dir, first_event, is_run, iter_runs
from cnn_engine.runs.groups import RunGroup, read_group, series_name
from cnn_engine.runs.hints import command_in
from cnn_engine.runs.lookup import LATEST, run_name
from cnn_engine.runs.series import group_of
from cnn_engine.texts import listed
from cnn_tui.cli.options import resolve_run

PREFIX, RUN_PREFIX = "group:", "run:"


class GroupReference(NamedTuple):
    """A series of runs."""

    id: str
    """Id of the series, which is usually that of its first run."""

    runs_dir: Path

    @property
    def first(self) -> RunDirectory:
        """Directory of its first run, which may be deleted."""
        return RunDirectory(self.runs_dir / self.id)

    def read(self) -> RunGroup:
        """Return the series with the summaries of its runs.

        Raises:
            ConfigError: all its runs are gone.
        """
        group = read_group(self.runs_dir, self.id)
        if group is None:
            raise ConfigError(f"series {self.id}: has no runs in {self.runs_dir}")
        return group


def find_group(
    reference: str, runs_dir: Path | None, *, by_first_run: bool = False
) -> GroupReference | None:
    """Return the series that a reference names; None if it names a run, or nothing.

    Args:
        reference: `group:` and any run of the series or its id; or the name of the series.
        runs_dir: Directory of the runs; None for the default.
        by_first_run: Accept the id of the first run, too.

    Raises:
        ConfigError: the run after `group:` is unknown or in no series, or several series have the
            name.
    """
    if reference.startswith(PREFIX):
        return _of_run(reference.removeprefix(PREFIX), runs_dir)
    if reference in ("", LATEST) or reference.startswith(RUN_PREFIX) or "/" in reference:
        return None
    directory = runs_dir or default_runs_dir()
    run = RunDirectory(directory / reference)
    if is_run(run.path):
        is_first = by_first_run and group_of(run) == reference
        return GroupReference(reference, directory) if is_first else None
    return _by_name(reference, directory)


def _of_run(text: str, runs_dir: Path | None) -> GroupReference:
    """Return the series with an id, or that of a run."""
    directory = runs_dir or default_runs_dir()
    run = None
    if text and any(group_of(each) == text for each in iter_runs(directory)):
        return GroupReference(text, directory)
    if (named := _by_name(text, directory)) is not None:
        return named
    run = resolve_run(text, runs_dir)
    group = group_of(run)
    if not group:
        listing = command_in(runs_dir, "runs", "--groups")
        raise ConfigError(f"group:{text}: run {run.id} belongs to no series; see: {listing}")
    return GroupReference(group, run.path.parent)


def _by_name(name: str, directory: Path) -> GroupReference | None:
    """Return the series of this name; None without one, or if a run has the name.

    Raises:
        ConfigError: several have it.
    """
    found = set[str]()
    for run in iter_runs(directory):
        if run_name(run) == name:
            return None
        started = first_event(run)
        if isinstance(started, RunStarted) and started.group and series_name(started.name) == name:
            found.add(started.group)
    if not name or not found:
        return None
    if len(found) > 1:
        texts = [f"group:{group}" for group in sorted(found)]
        raise ConfigError(f"{name!r}: {len(found)} series have this name: {listed(texts)}")
    return GroupReference(found.pop(), directory)
