"""Loss curves as columns of dots: every point falls into one, and no extreme of it is lost."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cnn_engine.runlog.curve import Curve

MAX_DRAWN = 1e100
"""A loss beyond this is drawn like one that is not a number: as a gap."""


def is_drawable(value: float) -> bool:
    """Whether a value has a place on a scale."""
    return -MAX_DRAWN < value < MAX_DRAWN  # false for NaN


@dataclass(frozen=True)
class Window:
    """The stretch of steps that a chart shows, cut into columns of dots."""

    first: float
    last: float
    columns: int

    def column(self, step: float) -> int:
        """Where a step stands; outside of 0..columns-1 for one that is not shown."""
        if step == self.last:
            return self.columns - 1
        return math.floor((step - self.first) / (self.last - self.first) * self.columns)

    def step(self, column: float) -> float:
        """Where a column begins."""
        return self.first + (self.last - self.first) * column / self.columns


class MovingAverage:
    """Moving average of a growing curve; what is not a number is passed over."""

    def __init__(self, weight: float) -> None:
        """Begin.

        Args:
            weight: How much of what was before counts at each point, 0 to 1.
        """
        self._weight = weight
        self.values = array("d")
        """One for each point so far."""

    def extend(self, curve: Curve) -> None:
        """Go on with what the curve has more than when it was last seen."""
        weight = self._weight
        last = self.values[-1] if self.values else math.nan
        for loss in curve.losses[len(self.values) :]:
            if is_drawable(loss):
                smooth = weight * last + (1 - weight) * loss
                last = smooth if math.isfinite(last) else loss
            self.values.append(last)


class BinnedCurve:
    """A curve's points gathered by column: their extremes, their mean, and the gaps."""

    def __init__(self, window: Window, weight: float = 0.0, *, by_time: bool = False) -> None:
        """No points yet.

        Args:
            window: What is shown.
            weight: How much the means are smoothed, 0 to 1.
            by_time: Whether the window is one of seconds, and not of steps.
        """
        self.window = window
        self.low = [math.inf] * window.columns
        """Least loss of a step in each column; infinite in an empty one."""
        self.high = [-math.inf] * window.columns
        """Greatest."""
        self.broken = [False] * window.columns
        """Whether a loss in the column was not a number."""
        self._sums = [0.0] * window.columns
        self._counts = [0] * window.columns
        self._smoothing = MovingAverage(weight) if weight else None
        self._by_time = by_time
        self._taken = 0

    def extend(self, curve: Curve) -> None:
        """Go on with what the curve has more than when it was last seen.

        A column's points are looked at as one slice: a long curve has thousands in each.
        """
        if self._smoothing:
            self._smoothing.extend(curve)
        places = curve.seconds if self._by_time else curve.steps
        start = bisect_left(places, self.window.first, lo=self._taken)
        while start < len(curve):
            column = self.window.column(places[start])
            if column >= self.window.columns:
                break
            end = bisect_left(places, self.window.step(column + 1), lo=start + 1)
            self._add(column, curve, start, end)
            start = end
        self._taken = len(curve)

    def _add(self, column: int, curve: Curve, start: int, end: int) -> None:
        lows, highs = _drawn(curve.lows[start:end]), _drawn(curve.highs[start:end])
        self.low[column] = min(self.low[column], min(lows, default=math.inf))
        self.high[column] = max(self.high[column], max(highs, default=-math.inf))
        losses = curve.losses[start:end]
        means = self._smoothing.values[start:end] if self._smoothing else losses
        count = len(_drawn(losses))
        if count < len(losses):
            self.broken[column] = True
            pairs = zip(means, losses, strict=True)
            self._sums[column] += sum(mean for mean, loss in pairs if is_drawable(loss))
        else:
            self._sums[column] += sum(means)
        self._counts[column] += count

    def mean(self, column: int) -> float | None:
        """Mean of the column's points; None where there are none."""
        count = self._counts[column]
        return self._sums[column] / count if count else None

    def means(self) -> Iterator[tuple[int, float, bool]]:
        """Column, mean, and whether a line leads there from the one before."""
        joined = False
        for column in range(self.window.columns):
            mean = self.mean(column)
            if self.broken[column]:
                joined = False
            if mean is not None:
                yield column, mean, joined
                joined = not self.broken[column]

    def extremes(self) -> Iterator[tuple[int, float, float]]:
        """Column, least and greatest, where the column has any."""
        for column, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if low <= high:
                yield column, low, high


def _drawn(values: Sequence[float]) -> Sequence[float]:
    """Those of the values that have a place on a scale: mostly all."""
    if is_drawable(sum(values)) and is_drawable(min(values)) and is_drawable(max(values)):
        return values
    return [value for value in values if is_drawable(value)]


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on rows of dots, the greatest in row 0."""

    low: float
    high: float
    rows: int
    log: bool
    ticks: tuple[float, ...]
    """Round values in it, the least first."""

    def row(self, value: float) -> int:
        """Where a value stands; on the edge for one that is outside."""
        value = min(max(value, self.low), self.high)
        if self.log:
            low = math.log(self.low)
            share = (math.log(value) - low) / (math.log(self.high) - low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round((1 - share) * (self.rows - 1))


def linear_scale(low: float, high: float, rows: int, most_ticks: int) -> Scale:
    """A scale from one round value to another, which holds `low` to `high`."""
    least = max(abs(low), abs(high)) / 100 or 1.0
    if high - low < least:
        low, high = low - least / 2, high + least / 2
    margin = round_step((high - low) / 8)
    first, last = math.floor(low / margin) * margin, math.ceil(high / margin) * margin
    step = round_step((last - first) / most_ticks)
    numbers = range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1)
    ticks = tuple(number * step for number in numbers)
    return Scale(first, last, rows, False, ticks if len(ticks) > 1 else (first, last))


def log_scale(low: float, high: float, rows: int, most_ticks: int) -> Scale:
    """The same for a logarithmic scale; `low` must be positive."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    values = [unit * 10.0**power for power in powers for unit in (1, 2, 5)]
    first = max(value for value in values if value <= low)
    last = min(value for value in values if value >= high and value > first)
    ticks = tuple(value for value in values if first <= value <= last)
    if len(ticks) > most_ticks:
        ticks = tuple(value for value in ticks if _is_power_of_ten(value)) or (first, last)
    return Scale(first, last, rows, True, ticks)


def _is_power_of_ten(value: float) -> bool:
    return math.isclose(math.log10(value), round(math.log10(value)), abs_tol=1e-9)


def round_step(rough: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is no less than `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(unit * power for unit in (1, 2, 5, 10) if unit * power >= rough * (1 - 1e-9))


def axis_epochs(reached: float, asked: int) -> int:
    """Epochs that an axis spans: doubled as they are reached, so the curve fills half or more."""
    across = 1
    while across < min(2 * reached, asked):
        across *= 2
    return max(min(across, max(asked, 1)), math.ceil(reached))  # how many is not always known
