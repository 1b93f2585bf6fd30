"""The curves of a compared run, along an axis that all runs share."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal, NamedTuple, TypeAlias, get_args

from cnn_engine.runlog.curve import Curve
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.binning import BinnedCurve, Point, Window, axis_epochs, points_in
from cnn_tui.charts.loss import SMOOTHINGS, ChartView
from cnn_tui.text.numbers import decimal, percent, significant

LETTERS = "ABCDEFGH"
"""Letters of the compared runs; their number is the limit."""

XAxis: TypeAlias = Literal["epoch", "step", "time"]
X_AXES: tuple[XAxis, ...] = get_args(XAxis)
"""The x axes; time is in seconds."""

Metric: TypeAlias = Literal["losses", "validation loss", "training loss", "accuracy"]
METRICS: tuple[Metric, ...] = get_args(Metric)
"""The metrics: both losses, one of them, or the validation accuracy."""


@dataclass(frozen=True, kw_only=True)
class OverlayView(ChartView):
    """The part of the chart in view, with its axis and metric."""

    x_axis: XAxis = "epoch"
    metric: Metric = "losses"
    series: str = ""
    """Name of the series that is drawn in place of the metric; empty for none."""

    @property
    def title(self) -> str:
        """Words for the curves that are drawn."""
        return self.series or self.metric


class Trace(NamedTuple):
    """One curve as it is drawn."""

    letter: str
    style: str
    points: list[Point]
    band: Sequence[tuple[int, float, float]] = ()
    """Column, lower and upper end of the deviation around a mean; empty for a single run."""


def mean_trace(traces: Sequence[Trace]) -> Trace:
    """Return the mean of the curves of several runs, with a band of one standard deviation.

    Between its points a curve is a line; a column has the mean of the runs that reach it.
    """
    first = traces[0]
    columns = sorted({point.column for trace in traces for point in trace.points})
    found = [(column, _values_at(traces, column)) for column in columns]
    points = [
        Point(column, fmean(values), index > 0) for index, (column, values) in enumerate(found)
    ]
    band = [
        (column, fmean(values) - stdev(values), fmean(values) + stdev(values))
        for column, values in found
        if len(values) > 1
    ]
    return Trace(first.letter, first.style, points, band)


def _values_at(traces: Sequence[Trace], column: int) -> list[float]:
    """Return the value of each curve that reaches a column."""
    values = []
    for trace in traces:
        index = bisect_left(trace.points, column, key=lambda point: point.column)
        if index == len(trace.points):
            continue
        right = trace.points[index]
        if right.column == column:
            values.append(right.value)
        elif index and right.is_joined:
            left = trace.points[index - 1]
            share = (column - left.column) / (right.column - left.column)
            values.append(left.value + share * (right.value - left.value))
    return values


class TraceCache:
    """A run's binned curves, reused as long as the window stays the same."""

    def __init__(self, index: int) -> None:
        """Create a cache.

        Args:
            index: Index of the run among the compared runs, which selects letter and colour.
        """
        self.letter, self.style = LETTERS[index], f"$run-{index + 1}"
        self._binned: BinnedCurve | None = None
        self._curve: Curve | None = None
        self._key: object = None

    def traces(self, state: RunState, window: Window, view: OverlayView) -> Iterator[Trace]:
        """Yield the run's curves: training with a small letter, validation with a capital."""
        if view.series:
            curve = drawn_curve(state, view)
            if curve and has_x_axis(state, view):
                means = self._bin(state, curve, window, view).means()
                yield Trace(self.letter, self.style, list(means))
            return
        if view.metric in ("losses", "training loss") and state.curve and has_x_axis(state, view):
            binned = self._bin(state, state.curve, window, view)
            yield Trace(self.letter.lower(), self.style, list(binned.means()))
        if view.metric != "training loss":
            values = [(end, _value(epoch, view)) for end, epoch in epoch_positions(state, view)]
            yield Trace(self.letter, self.style, list(points_in(window, values)))

    def train_at(self, state: RunState, view: OverlayView, position: float) -> float | None:
        """Return the training loss or the series at a position, or the last value before it."""
        curve = drawn_curve(state, view)
        if not curve or not has_x_axis(state, view):
            return None
        positions = curve.seconds if view.x_axis == "time" else curve.steps
        index = bisect_right(positions, position * _unit(state, view))
        return curve.losses[index - 1] if index else None

    def _bin(self, state: RunState, curve: Curve, window: Window, view: OverlayView) -> BinnedCurve:
        """Return the binned curve; while the window is the same, points are added."""
        unit = _unit(state, view)
        own_window = Window(window.first * unit, window.last * unit, window.columns)
        key = (own_window, view.smoothing, view.x_axis)
        # A rollback to an earlier point replaces the curve.
        if self._binned is None or self._key != key or self._curve is not curve:
            self._key, self._curve = key, curve
            weight = SMOOTHINGS[view.smoothing][1]
            self._binned = BinnedCurve(own_window, weight, by_time=view.x_axis == "time")
        self._binned.extend(curve)
        return self._binned


def drawn_curve(state: RunState, view: OverlayView) -> Curve | None:
    """Return the curve of the series that is drawn, or that of the training loss."""
    if not view.series:
        return state.curve
    series = state.series.get(view.series)
    return series.curve if series else None


def has_x_axis(state: RunState, view: OverlayView) -> bool:
    """Return True if the run can be drawn on the axis; epochs need the steps per epoch."""
    return view.x_axis != "epoch" or state.steps_per_epoch > 0


def _unit(state: RunState, view: OverlayView) -> float:
    """Return the length of 1 on the axis, in the steps or seconds of the curve."""
    return float(state.steps_per_epoch) if view.x_axis == "epoch" else 1.0


def run_extent(state: RunState, view: OverlayView) -> float:
    """Return the position on the axis that the run has reached."""
    epochs = state.epochs[-1].epoch if state.epochs else 0
    if view.x_axis == "time":
        return state.busy_seconds
    steps = max(state.curve.steps[-1] if state.curve else 0, epochs * state.steps_per_epoch)
    if not state.is_own:  # it may log no loss
        steps = max(steps, state.steps_done)
    if view.x_axis == "step":
        return float(steps)
    return steps / state.steps_per_epoch if state.steps_per_epoch else float(epochs)


def axis_extent(states: Sequence[RunState], view: OverlayView) -> float:
    """Return the end of the axis: the end of the longest run, with room for unfinished runs."""
    ends = [0.0]
    for state in states:
        end = run_extent(state, view)
        if not state.has_ended and view.x_axis == "time":
            end = 60.0 * 2 ** max(0, math.ceil(math.log2(max(end, 1.0) / 60.0)))
        elif not state.has_ended and state.steps_per_epoch:
            unit = 1.0 if view.x_axis == "epoch" else float(state.steps_per_epoch)
            end = max(end, axis_epochs(end / unit, state.total_epochs) * unit)
        ends.append(end)
    return max(ends)


def epoch_positions(state: RunState, view: OverlayView) -> Iterator[tuple[float, EpochFinished]]:
    """Yield the position of the end of each epoch, and the epoch."""
    for epoch in state.epochs:
        if view.x_axis == "epoch":
            yield float(epoch.epoch), epoch
            continue
        step = state.end_of(epoch)
        if view.x_axis == "step":
            yield float(step), epoch
        elif index := bisect_right(state.curve.steps, step):
            yield state.curve.seconds[index - 1] + epoch.val_seconds, epoch


def _value(epoch: EpochFinished, view: OverlayView) -> float:
    return epoch.val_accuracy if view.metric == "accuracy" else epoch.val_loss


def values_at_cursor(
    state: RunState, cache: TraceCache, view: OverlayView
) -> tuple[float | None, ...]:
    """Return a run's values at the cursor, or its last ones without a cursor, None if unknown.

    They are those of the series or the metric; of the losses, training and validation.
    """
    cursor = math.inf if view.cursor is None else view.cursor
    if view.series:
        return (cache.train_at(state, view, cursor),)
    values = [_value(epoch, view) for end, epoch in epoch_positions(state, view) if end <= cursor]
    val = values[-1] if values else None
    if view.metric in ("accuracy", "validation loss"):
        return (val,)
    train = cache.train_at(state, view, cursor)
    return (train,) if view.metric == "training loss" else (train, val)


def cursor_value_text(values: Sequence[float | None], view: OverlayView) -> str:
    """Return the text of the values at the cursor: `0.52/0.61`."""
    to_text = significant if view.series else percent if view.metric == "accuracy" else decimal
    return "/".join("–" if value is None else to_text(value) for value in values)
