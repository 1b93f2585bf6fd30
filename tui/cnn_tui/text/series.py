"""The series of a run as rows of text."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from cnn_engine.runlog.series import Series
from cnn_engine.runlog.state import RunState
from cnn_tui.text.numbers import significant
from cnn_tui.text.safe import safe_text

MAX_NAME = 60


class SeriesRow(NamedTuple):
    """A series and its values as text."""

    name: str
    last: str
    lowest: str
    highest: str


SERIES_HEADINGS = ("series", "last", "lowest", "highest")


def series_rows(state: RunState) -> list[SeriesRow]:
    """Return a row for each series of a run, in the order of their first values."""
    return [_row(name, series) for name, series in state.series.items()]


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
