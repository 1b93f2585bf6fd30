"""Series of named values of a run, such as `val/f1` or `gradient norm`."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from cnn_engine.runlog.curve import Curve, append_step
from cnn_engine.runlog.events import Scalar, ScalarsLogged

MAX_SERIES = 1000
"""Series of a run; further ones are not kept."""

MAX_NAME = 200
"""Characters of a series' name."""

MAX_TOTAL_POINTS = 1 << 21
"""Points of all series in memory, 25 to 50 MB. Beyond, those of all longer series are merged."""

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
        self.positions: Positions | None = None
        """Positions of the points, perhaps of other series too; None once points are merged."""

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


class Positions:
    """Steps and durations at the points of series that have always been logged together.

    The curves share them, which halves their memory and the time to read a log.
    """

    def __init__(self, series: list[Series]) -> None:
        """Replace the positions of some series by those of the first, which are the same."""
        self.series = series
        self.steps, self.seconds = series[0].curve.steps, series[0].curve.seconds
        for one in series:
            one.positions = self
            one.curve.steps, one.curve.seconds = self.steps, self.seconds

    def append(self, step: int, seconds: float) -> None:
        """Append a position; each series then has to append its values."""
        append_step(self.steps, step)
        self.seconds.append(seconds)

    def keep(self, series: Collection[Series]) -> None:
        """Give all other series a copy."""
        kept = {id(one) for one in series}
        others = [one for one in self.series if id(one) not in kept]
        if others:
            self.series = [one for one in self.series if id(one) in kept]
            others[0].curve.steps, others[0].curve.seconds = self.steps[:], self.seconds[:]
            Positions(others)


_Append: TypeAlias = Callable[[float], None]
_Target: TypeAlias = tuple[Series, _Append, _Append, _Append]
"""A series and the methods that append a mean, a minimum and a maximum to its curve."""


def _target(series: Series) -> _Target:
    curve = series.curve
    return series, curve.losses.append, curve.lows.append, curve.highs.append


class SeriesByName(dict[str, Series]):
    """All series of a run, in the order of their first values."""

    def __init__(self, series: Mapping[str, Series] | None = None) -> None:
        super().__init__(series or {})
        self.event_count = 0
        """Number of events added to this object."""
        self._points = sum(len(values.curve) for values in self.values())
        self._names: tuple[str, ...] = ()
        """Names in the last event."""
        self._targets: list[_Target | None] = []
        """Their series; None for those that are not kept."""
        self._positions: list[Positions] = []
        """Positions of these series, and of no others."""

    def add(self, event: ScalarsLogged, seconds: float) -> None:
        """Append the values of an event.

        Args:
            event: The event; a damaged one may contain anything.
            seconds: Duration of training so far.
        """
        self.event_count += 1
        names = (*event.values, *(name for name in event.not_finite if name not in event.values))
        self._prepare(names)
        step, nan = event.step, math.nan
        for positions in self._positions:
            positions.append(step, seconds)
        gaps = [(nan,)] * (len(names) - len(event.values))
        # A log has millions of values, so nothing is called for each but this.
        for target, values in zip(self._targets, (*event.values.values(), *gaps), strict=True):
            if target is None:
                continue
            if len(values) == 4:
                mean, low, high, last = values
            elif len(values) == 1:
                mean = low = high = last = values[0]
            else:
                mean, low, high, last = _completed(values)
            series, append_mean, append_low, append_high = target
            if series.positions:
                append_mean(mean)
                append_low(low)
                append_high(high)
            else:
                series.curve.add(step, mean, low, high, seconds)
            series.last = last
            if low < series.minimum:  # noqa: PLR1730 - faster than min
                series.minimum = low
            if high > series.maximum:  # noqa: PLR1730 - faster than max
                series.maximum = high
        for name, text in event.not_finite.items():
            self._set_last(name, _not_finite(text))
        self._points += len(names)
        self._limit_points()

    def _prepare(self, names: tuple[str, ...]) -> None:
        """Find or create the series of an event, and separate them from others."""
        if names == self._names:
            return
        new = [name for name in names if name not in self][: max(0, MAX_SERIES - len(self))]
        created = [self.setdefault(name, Series()) for name in new]
        if created:
            Positions(created)
        self._names = names
        self._targets = [_target(self[name]) if name in self else None for name in names]
        found = [self[name] for name in names if name in self]
        by_id = {id(series.positions): series.positions for series in found}
        self._positions = [positions for positions in by_id.values() if positions]
        for positions in self._positions:
            positions.keep(found)

    def until(self, step: int) -> "SeriesByName":
        """Return a copy with the points up to a step, without series that have none."""
        shortened = {name: series.until(step) for name, series in self.items()}
        together: dict[int, list[Series]] = {}
        for name, series in self.items():
            if series.positions and shortened[name].curve:
                together.setdefault(id(series.positions), []).append(shortened[name])
        for group in together.values():
            Positions(group)
        return SeriesByName({name: series for name, series in shortened.items() if series.curve})

    def _set_last(self, name: str, value: float) -> None:
        if name in self:
            self[name].last = value

    def _limit_points(self) -> None:
        if self._points <= MAX_TOTAL_POINTS:
            return
        for series in self.values():
            if len(series.curve) >= MIN_HALVED_POINTS:
                series.curve = series.curve.halved()  # a new object, so that views redraw it
                series.positions = None
        self._points = sum(len(series.curve) for series in self.values())
        self._names = ()


def _completed(values: Scalar) -> tuple[float, float, float, float]:
    """Return the mean, minimum, maximum and last of values of an older or a damaged log."""
    mean = values[0] if values else math.nan
    return (*values, mean) if len(values) == 3 else (mean, mean, mean, mean)


def _not_finite(text: str) -> float:
    return {"inf": math.inf, "-inf": -math.inf}.get(text, math.nan)
