"""Series of named values of a run, such as `val/f1` or `gradient norm`."""

import math
from collections.abc import Mapping

from cnn_engine.runlog.curve import Curve
from cnn_engine.runlog.events import ScalarsLogged

MAX_SERIES = 1000
"""Series of a run; further ones are not kept."""

MAX_NAME = 200
"""Characters of a series' name."""

MAX_TOTAL_POINTS = 1 << 21
"""Points of all series in memory: 50 MB. Beyond, the points of all longer series are merged."""

MIN_HALVED_POINTS = 1 << 10
"""Points of a series that are not merged."""


class Series:
    """Values of one name by step."""

    def __init__(self) -> None:
        self.curve = Curve(typecode="f")
        """Means, minima and maxima by step; NaN where a value was not finite."""
        self.last = math.nan
        """Latest value; may be NaN or infinite."""
        self.minimum, self.maximum = math.inf, -math.inf
        """Extreme finite values."""

    def __repr__(self) -> str:
        return f"Series({self.curve}, {self.last}, {self.minimum}, {self.maximum})"

    def until(self, step: int) -> "Series":
        """Return a copy with the points up to a step."""
        series = Series()
        series.curve = self.curve.until(step)
        if len(series.curve) == len(self.curve):
            series.last, series.minimum, series.maximum = self.last, self.minimum, self.maximum
        elif series.curve:
            series.last = series.curve.losses[-1]
            finite = [low for low in series.curve.lows if math.isfinite(low)]
            series.minimum = min(finite, default=math.inf)
            finite = [high for high in series.curve.highs if math.isfinite(high)]
            series.maximum = max(finite, default=-math.inf)
        return series

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and self._values() == other._values()

    def _values(self) -> tuple[Curve, str, float, float]:
        return self.curve, repr(self.last), self.minimum, self.maximum  # NaN equals NaN

    __hash__ = None  # type: ignore[assignment]  # it grows


class SeriesByName(dict[str, Series]):
    """All series of a run, in the order of their first values."""

    def __init__(self, series: Mapping[str, Series] | None = None) -> None:
        super().__init__(series or {})
        self.event_count = 0
        """Number of events added to this object."""
        self._points = sum(len(values.curve) for values in self.values())

    def add(self, event: ScalarsLogged, seconds: float) -> None:
        """Append the values of an event.

        Args:
            event: The event; a damaged one may contain anything.
            seconds: Duration of training so far.
        """
        self.event_count += 1
        step, nan = event.step, math.nan
        for name, values in event.values.items():  # a log has millions: one call for each
            series = self.get(name) or self._new(name)
            if series is None or not values:  # too many, or damaged
                continue
            if len(values) == 4:
                mean, low, high, last = values
            else:  # equal values, an older log without the last, or a damaged one
                mean, low, high, last = values[0], min(values), max(values), values[0]
            series.curve.add(step, mean, low, high, seconds)
            series.last = last
            if low < series.minimum:  # noqa: PLR1730 - faster than min
                series.minimum = low
            if high > series.maximum:  # noqa: PLR1730 - faster than max
                series.maximum = high
        for name, text in event.not_finite.items():
            series = self.get(name) or self._new(name)
            if series is not None:
                if name not in event.values:
                    series.curve.add(step, nan, nan, nan, seconds)
                series.last = _not_finite(text)
        self._points += len(event.values) + len(event.not_finite)
        if self._points > MAX_TOTAL_POINTS:
            self._halve()

    def until(self, step: int) -> "SeriesByName":
        """Return a copy with the points up to a step, without series that have none."""
        shortened = {name: series.until(step) for name, series in self.items()}
        return SeriesByName({name: series for name, series in shortened.items() if series.curve})

    def _new(self, name: str) -> Series | None:
        if len(self) >= MAX_SERIES:
            return None
        self[name] = Series()
        return self[name]

    def _halve(self) -> None:
        for series in self.values():
            if len(series.curve) >= MIN_HALVED_POINTS:
                series.curve = series.curve.halved()  # a new object, so that views redraw it
        self._points = sum(len(series.curve) for series in self.values())


def _not_finite(text: str) -> float:
    return {"inf": math.inf, "-inf": -math.inf}.get(text, math.nan)
