"""Filters and sorts runs for `cnn-tui runs` and the run browser."""

import math
import re
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from cnn_engine.errors import ConfigError
from cnn_engine.runs.columns import RunColumn, find_column
from cnn_engine.runs.filter import parse
from cnn_engine.runs.summary import RunSummary

QUOTED = re.compile(r"""^(["'`])(.*)\1$""")


class RunSelection(NamedTuple):
    """Runs that match a filter, sorted."""

    runs: tuple[RunSummary, ...]
    columns: tuple[RunColumn, ...]
    """Columns that the filter uses, and `sort_column`."""

    sort_column: RunColumn


def select_runs(
    runs: Sequence[RunSummary], filter_: str = "", sort: str = "-started"
) -> RunSelection:
    """Return the runs that match a filter, sorted by a column.

    Args:
        runs: All runs. The sort is stable.
        filter_: A filter as described in `cnn_engine.runs.filter`; empty for all runs.
        sort: A column or config key; with `-` before it, descending. Runs without a value come
            last in both directions.

    Raises:
        ConfigError: the filter is invalid or a column is unknown.
    """
    parsed = parse(filter_, runs)
    sort_column = find_sort_column(sort, runs)
    matching = [run for run in runs if parsed.matches(run)]
    ordered = sort_runs(matching, sort_column, descending=sort.startswith("-"))
    columns = dict.fromkeys([*parsed.columns, sort_column])
    return RunSelection(ordered, tuple(columns), sort_column)


def _with_queue(runs: tuple[RunSummary, ...], *, first: bool) -> tuple[RunSummary, ...]:
    """Return the runs with the queued ones first or last, in the order in which they start."""
    queued = [run for run in runs if run.status == "queued"]
    queued.sort(key=lambda run: run.queue_position or math.inf)
    others = [run for run in runs if run.status != "queued"]
    return (*queued, *others) if first else (*others, *queued)


def find_sort_column(sort: str, runs: Sequence[RunSummary]) -> RunColumn:
    """Return the column to sort by, whose name may be quoted as in a filter.

    Raises:
        ConfigError: the column is unknown.
    """
    try:
        return find_column(QUOTED.sub(r"\2", sort.removeprefix("-")), runs)
    except ConfigError as error:
        raise ConfigError(f"sort: {error}") from None


def sort_runs(
    runs: Iterable[RunSummary], column: RunColumn, *, descending: bool
) -> tuple[RunSummary, ...]:
    """Return runs sorted by a column; those without a value come last.

    By the time of the start, queued runs are the newest, in the order in which they start.
    """
    ordered = _sorted(runs, column, descending=descending)
    return _with_queue(ordered, first=descending) if column.key == "started" else ordered


def _sorted(
    runs: Iterable[RunSummary], column: RunColumn, *, descending: bool
) -> tuple[RunSummary, ...]:
    keyed, missing = [], []
    for run in runs:
        key = _sort_key(column.value(run))
        if key is None:
            missing.append(run)
        else:
            keyed.append((key, run))
    keyed.sort(key=itemgetter(0), reverse=descending)
    return (*(run for _, run in keyed), *missing)


def _sort_key(value: Any) -> tuple[int, float, str] | None:  # noqa: ANN401 - of any column
    """Return a key that sorts numbers before texts; None for an empty value or NaN."""
    if value is None or value in ("", ()) or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, int | float):
        return 0, value, ""
    return 1, 0, (" ".join(value) if isinstance(value, tuple) else str(value)).casefold()
