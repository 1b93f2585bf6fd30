"""Runs filtered and sorted: what `cnn-tui runs` and the browser show."""

import math
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from cnn_engine.errors import ConfigError
from cnn_engine.runs.columns import Figure, find_figure
from cnn_engine.runs.filter import parse
from cnn_engine.runs.summary import RunSummary


class RunChoice(NamedTuple):
    """What was chosen of many runs."""

    runs: tuple[RunSummary, ...]
    """In the order that was asked for."""

    figures: tuple[Figure, ...]
    """What was asked about, `by` among it."""

    by: Figure
    """What they are sorted by."""


def choose(runs: Sequence[RunSummary], filter_: str = "", sort: str = "-started") -> RunChoice:
    """The runs that a filter means, in the order of a figure.

    Args:
        runs: All of them; among equals their order is kept.
        filter_: As `run_filter` reads it.
        sort: A figure or a key of a config; with `-` before it, the greatest first. Runs without it
            come last either way.

    Raises:
        ConfigError: the filter or the key means nothing.
    """
    asked = parse(filter_, runs)
    by = sort_figure(sort, runs)
    kept = [run for run in runs if asked.matches(run)]
    figures = dict.fromkeys([*asked.figures, by])
    return RunChoice(_in_order(kept, by, falling=sort.startswith("-")), tuple(figures), by)


def sort_figure(sort: str, runs: Sequence[RunSummary]) -> Figure:
    """The figure that runs are sorted by.

    Raises:
        ConfigError: there is none of this name.
    """
    try:
        return find_figure(sort.removeprefix("-"), runs)
    except ConfigError as error:
        raise ConfigError(f"sort: {error}") from None


def _in_order(runs: list[RunSummary], by: Figure, *, falling: bool) -> tuple[RunSummary, ...]:
    having, lacking = [], []
    for run in runs:
        key = _sort_key(by.of(run))
        if key is None:
            lacking.append(run)
        else:
            having.append((key, run))
    having.sort(key=itemgetter(0), reverse=falling)
    return (*(run for _, run in having), *lacking)


def _sort_key(value: Any) -> tuple[int, float, str] | None:  # noqa: ANN401 - of any figure
    """What is compared: numbers before texts; None for what is no value at all."""
    if value is None or value in ("", ()) or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, int | float):
        return 0, value, ""
    return 1, 0, (" ".join(value) if isinstance(value, tuple) else str(value)).casefold()
