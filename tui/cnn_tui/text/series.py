"""The series of a run as rows of text."""

import math
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


def _row(name: str, series: Series) -> SeriesRow:
    values = (series.last, series.minimum, series.maximum)
    if series.minimum > series.maximum:  # no value was finite
        values = (series.last, math.nan, math.nan)
    return SeriesRow(safe_text(name, MAX_NAME), *map(significant, values))
