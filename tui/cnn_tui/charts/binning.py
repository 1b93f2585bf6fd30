"""Curves binned into columns of dots, with the extremes of each column; scales for values."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cnn_engine.runlog.curve import Curve

MAX_DRAWN = 1e100
"""Magnitude from which a loss is drawn as a gap, like NaN."""


def is_drawable(value: float) -> bool:
    """Return True if the value can be placed on a scale: it is finite and not huge."""
    return -MAX_DRAWN < value < MAX_DRAWN  # False for NaN


@dataclass(frozen=True)
class Window:
    """The part of an axis in view, cut into columns of dots."""

    first: float
    last: float
    columns: int

    def column(self, position: float) -> int:
        """Return the column of a position; outside of 0..columns-1 if it is not in view."""
        if position == self.last:
            return self.columns - 1
        return math.floor((position - self.first) / (self.last - self.first) * self.columns)

    def position(self, column: float) -> float:
        """Return the position at the left edge of a column."""
        return self.first + (self.last - self.first) * column / self.columns


class Point(NamedTuple):
    """A point of a curve."""

    column: int
    value: float

    is_joined: bool
    """True if a line joins the point to the previous one."""


def points_in(window: Window, values: Iterable[tuple[float, float]]) -> Iterator[Point]:
    """Yield the drawable points in view, from pairs of position and value; others are gaps."""
    is_joined = False
    for position, value in values:
        if window.first <= position <= window.last and is_drawable(value):
            yield Point(window.column(position), value, is_joined)
            is_joined = True
        else:
            is_joined = False


class MovingAverage:
    """Exponential moving average of a growing curve; values that cannot be drawn are skipped."""

    def __init__(self, weight: float) -> None:
        """Create an empty average.

        Args:
            weight: The weight of the previous average at each point, 0 to 1.
        """
        self._weight = weight
        self.values = array("d")
        """The average at each point so far."""

    def extend(self, curve: Curve) -> None:
        """Add the points that the curve has gained."""
        weight = self._weight
        last = self.values[-1] if self.values else math.nan
        for loss in curve.losses[len(self.values) :]:
            if is_drawable(loss):
                smooth = weight * last + (1 - weight) * loss
                last = smooth if math.isfinite(last) else loss
            self.values.append(last)


class BinnedCurve:
    """A curve's points by column: their extremes, their mean, and the gaps."""

    def __init__(self, window: Window, weight: float = 0.0, *, by_time: bool = False) -> None:
        """Create a curve without points.

        Args:
            window: The window in view.
            weight: The weight of the moving average that smooths the means, 0 to 1.
            by_time: True if the window is in seconds, False if it is in steps.
        """
        self.window = window
        self.low = [math.inf] * window.columns
        """Minimum of each column; infinity in an empty one."""
        self.high = [-math.inf] * window.columns
        """Maximum of each column; minus infinity in an empty one."""
        self.has_gap = [False] * window.columns
        """True for each column with a loss that cannot be drawn."""
        self._sums = [0.0] * window.columns
        self._counts = [0] * window.columns
        self._smoothing = MovingAverage(weight) if weight else None
        self._by_time = by_time
        self._point_count = 0

    def extend(self, curve: Curve) -> None:
        """Add the points that the curve has gained.

        The points of a column are added as one slice, because a long curve has thousands in each.
        """
        if self._smoothing:
            self._smoothing.extend(curve)
        positions = curve.seconds if self._by_time else curve.steps
        start = bisect_left(positions, self.window.first, lo=self._point_count)
        while start < len(curve):
            column = self.window.column(positions[start])
            if not 0 <= column < self.window.columns:  # negative in a damaged log
                break
            end = bisect_left(positions, self.window.position(column + 1), lo=start + 1)
            self._add(column, curve, start, end)
            start = end
        self._point_count = len(curve)

    def _add(self, column: int, curve: Curve, start: int, end: int) -> None:
        lows, highs = _drawable(curve.lows[start:end]), _drawable(curve.highs[start:end])
        self.low[column] = min(self.low[column], min(lows, default=math.inf))
        self.high[column] = max(self.high[column], max(highs, default=-math.inf))
        losses = curve.losses[start:end]
        means = self._smoothing.values[start:end] if self._smoothing else losses
        count = len(_drawable(losses))
        if count < len(losses):
            self.has_gap[column] = True
            pairs = zip(means, losses, strict=True)
            self._sums[column] += sum(mean for mean, loss in pairs if is_drawable(loss))
        else:
            self._sums[column] += sum(means)
        self._counts[column] += count

    def mean(self, column: int) -> float | None:
        """Return the mean of the column's points; None if it has none."""
        count = self._counts[column]
        return self._sums[column] / count if count else None

    def means(self) -> Iterator[Point]:
        """Yield the mean of each column that has points."""
        is_joined = False
        for column in range(self.window.columns):
            mean = self.mean(column)
            if self.has_gap[column]:
                is_joined = False
            if mean is not None:
                yield Point(column, mean, is_joined)
                is_joined = not self.has_gap[column]

    def extremes(self) -> Iterator[tuple[int, float, float]]:
        """Yield column, minimum and maximum of each column that has points."""
        for column, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if low <= high:
                yield column, low, high


def _drawable(values: Sequence[float]) -> Sequence[float]:
    """Return the values that can be drawn, which nearly always are all of them."""
    if is_drawable(sum(values)) and is_drawable(min(values)) and is_drawable(max(values)):
        return values
    return [value for value in values if is_drawable(value)]


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on rows of dots, the maximum in row 0."""

    low: float
    high: float
    rows: int
    log: bool
    ticks: tuple[float, ...]
    """Round values on the scale, in ascending order."""

    def row(self, value: float) -> int:
        """Return the row of a value; the row of the nearest edge for a value off the scale."""
        value = min(max(value, self.low), self.high)
        if self.log:
            low = math.log(self.low)
            fraction = (math.log(value) - low) / (math.log(self.high) - low)
        else:
            fraction = (value - self.low) / (self.high - self.low)
        return round((1 - fraction) * (self.rows - 1))


def usual_maximum(losses: Sequence[float], chance: float) -> float:
    """Return the maximum of the losses without a few that are far above the others.

    Args:
        losses: At least one loss.
        chance: The loss of a uniform guess, which is usual at the start; 0 if unknown.
    """
    ordered = sorted(losses)
    limit = max(5 * ordered[int(0.95 * (len(ordered) - 1))], 1.5 * chance)
    return max((loss for loss in ordered if loss <= limit), default=ordered[-1])


def linear_scale(low: float, high: float, rows: int, max_ticks: int) -> Scale:
    """Return a scale between two round values that includes `low` to `high`."""
    min_span = max(abs(low), abs(high)) / 100 or 1.0
    if high - low < min_span:
        low, high = low - min_span / 2, high + min_span / 2
    margin = round_step((high - low) / 8)
    first, last = math.floor(low / margin) * margin, math.ceil(high / margin) * margin
    span = last - first
    ticks = _multiples(round_step(span / max_ticks), first, last)
    if len(ticks) < 2:  # a smaller step, with two numbers in the span
        ticks = _multiples(round_step(span / 5), first, last)
    return Scale(first, last, rows, False, ticks)


def _multiples(step: float, first: float, last: float) -> tuple[float, ...]:
    """Return the multiples of a step from `first` to `last`."""
    numbers = range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1)
    return tuple(number * step for number in numbers)


def log_scale(low: float, high: float, rows: int, max_ticks: int) -> Scale:
    """Return a logarithmic scale that includes `low` to `high`; `low` must be positive."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    values = [unit * 10.0**power for power in powers for unit in (1, 2, 5)]
    first = max(value for value in values if value <= low)
    last = min(value for value in values if value >= high and value > first)
    ticks = tuple(value for value in values if first <= value <= last)
    if len(ticks) > max_ticks:
        ticks = tuple(value for value in ticks if _is_power_of_ten(value)) or (first, last)
    return Scale(first, last, rows, True, ticks)


def _is_power_of_ten(value: float) -> bool:
    return math.isclose(math.log10(value), round(math.log10(value)), abs_tol=1e-9)


def round_step(rough: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(unit * power for unit in (1, 2, 5, 10) if unit * power >= rough * (1 - 1e-9))


def axis_epochs(reached: float, total: int) -> int:
    """Return the length of an axis in epochs; it doubles when reached, so half of it is filled.

    Args:
        reached: Epochs so far.
        total: Epochs of the run; 0 if unknown.
    """
    span = 1
    while span < min(2 * reached, total):
        span *= 2
    return max(min(span, max(total, 1)), math.ceil(reached))
