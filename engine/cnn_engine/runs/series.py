"""Runs of the same series, such as folds or repetitions with other seeds."""

from collections.abc import Collection
from typing import Any

from cnn_engine.runlog.events import RunStarted
from cnn_engine.runs.directory import RunDirectory, first_event, iter_runs


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
        for other in iter_runs(run.path.parent)
        if isinstance(started := first_event(other), RunStarted)
        and started.group == own.group
        and _without(started, differing) == config
    ]


def _without(started: RunStarted, keys: Collection[str]) -> dict[str, Any]:
    """Return a config by dotted keys, without some of them."""
    values = {
        f"{table}.{key}": value
        for table, keys_of_table in started.config.items()
        if isinstance(keys_of_table, dict)
        for key, value in keys_of_table.items()
    }
    return {key: value for key, value in values.items() if key not in keys}
