"""The series of a run as rows of text."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from cnn_engine.runlog.roles import roles_of
from cnn_engine.runlog.series import Series
from cnn_engine.runlog.state import RunState
from cnn_tui.text.numbers import significant
from cnn_tui.text.safe import safe_text

MAX_NAME = 60

MAX_SHOWN = 20
"""Series that a report in a terminal lists beside those with a role, such as the training loss."""


class SeriesRow(NamedTuple):
    """A series and its values as text."""

    name: str
    last: str
    lowest: str
    highest: str


SERIES_HEADINGS = ("series", "last", "lowest", "highest")


def series_rows(state: RunState, names: Iterable[str] | None = None) -> list[SeriesRow]:
    """Return a row for each series of a run, or for some, in the order of their first values."""
    shown = state.series if names is None else names
    return [_row(name, state.series[name]) for name in shown]


def first_series(names: Collection[str]) -> list[str]:
    """Return the first `MAX_SHOWN` names and those with a role, in the given order."""
    with_role = roles_of(names).assigned.values()
    return [name for index, name in enumerate(names) if index < MAX_SHOWN or name in with_role]


def shared_series(states: Iterable[RunState]) -> list[str]:
    """Return the names of the series that at least two runs have, in the order of the runs."""
    counts = Counter(name for state in states for name in state.series)
    return [name for name, count in counts.items() if count > 1]


def series_cell(state: RunState, name: str) -> str:
    """Return `0.9 (0.4 … 0.95)`: last, lowest and highest value; a dash without the series."""
    if name not in state.series:
        return "–"
    _, last, lowest, highest = _row(name, state.series[name])
    return f"{last} ({lowest} … {highest})"


def _row(name: str, series: Series) -> SeriesRow:
    lowest, highest = significant(series.minimum), significant(series.maximum)
    if series.minimum > series.maximum:  # no value was finite
        lowest = highest = "–"
    return SeriesRow(safe_text(name, MAX_NAME), significant(series.last), lowest, highest)
