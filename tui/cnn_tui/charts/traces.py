"""A run's curves where several are compared: in the same columns, along what they are drawn."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, get_args

from cnn_engine.runlog.curve import Curve
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.binning import BinnedCurve, Window, axis_epochs, is_drawable
from cnn_tui.charts.loss import SMOOTHINGS, ChartView
from cnn_tui.text.numbers import decimal, percent

LETTERS = "ABCDEFGH"
"""What runs are called where they are compared; as many as can be."""

XAxis: TypeAlias = Literal["epoch", "step", "time"]
X_AXES: tuple[XAxis, ...] = get_args(XAxis)
"""What curves are drawn along."""

Metric: TypeAlias = Literal["losses", "validation loss", "training loss", "accuracy"]
METRICS: tuple[Metric, ...] = get_args(Metric)
"""What is drawn: both losses, one of them, or the accuracy in validation."""


@dataclass(frozen=True, kw_only=True)
class OverlayView(ChartView):
    """How the chart is looked at."""

    x_axis: XAxis = "epoch"
    metric: Metric = "losses"


class Point(NamedTuple):
    """A place on a curve."""

    column: int
    value: float

    joined: bool
    """Whether a line leads there from the one before."""


class Trace(NamedTuple):
    """One curve as it is drawn."""

    letter: str
    style: str
    points: list[Point]


class TraceCache:
    """One run's curves in columns, which are kept as long as the same window is shown."""

    def __init__(self, place: int) -> None:
        """Call it by its place among the runs that are compared."""
        self.letter, self.style = LETTERS[place], f"$run-{place + 1}"
        self._columns: BinnedCurve | None = None
        self._curve: Curve | None = None
        self._key: object = None

    def traces(self, state: RunState, window: Window, view: OverlayView) -> Iterator[Trace]:
        """What is drawn of the run: small letters on training, where validation has capitals."""
        if view.metric in ("losses", "training loss") and state.curve and has_x_axis(state, view):
            columns = self._gathered(state, window, view)
            points = [Point(*mean) for mean in columns.means()]
            yield Trace(self.letter.lower(), self.style, points)
        if view.metric != "training loss":
            yield Trace(self.letter, self.style, list(_epoch_points(state, window, view)))

    def train_at(self, state: RunState, view: OverlayView, end: float) -> float | None:
        """The training loss at a place along, or the last before it."""
        if not state.curve or not has_x_axis(state, view):
            return None
        places = state.curve.seconds if view.x_axis == "time" else state.curve.steps
        index = bisect_right(places, end * _unit(state, view))
        return state.curve.losses[index - 1] if index else None

    def _gathered(self, state: RunState, window: Window, view: OverlayView) -> BinnedCurve:
        unit = _unit(state, view)
        own = Window(window.first * unit, window.last * unit, window.columns)
        key = (own, view.smoothing, view.x_axis)
        # When training is taken back to an earlier point, the curve is another one.
        if self._columns is None or self._key != key or self._curve is not state.curve:
            self._key, self._curve = key, state.curve
            weight = SMOOTHINGS[view.smoothing][1]
            self._columns = BinnedCurve(own, weight, by_time=view.x_axis == "time")
        self._columns.extend(state.curve)
        return self._columns


def has_x_axis(state: RunState, view: OverlayView) -> bool:
    """Whether the run has places along that: without its epochs' length, no step is in one."""
    return view.x_axis != "epoch" or state.steps_per_epoch > 0


def _unit(state: RunState, view: OverlayView) -> float:
    """How much of the run's own count is 1 on the axis."""
    return float(state.steps_per_epoch) if view.x_axis == "epoch" else 1.0


def run_extent(state: RunState, view: OverlayView) -> float:
    """How far along the run has come."""
    epochs = state.epochs[-1].epoch if state.epochs else 0
    if view.x_axis == "time":
        return state.busy_seconds
    steps = max(state.curve.steps[-1] if state.curve else 0, epochs * state.steps_per_epoch)
    if view.x_axis == "step":
        return float(steps)
    return steps / state.steps_per_epoch if state.steps_per_epoch else float(epochs)


def axis_extent(states: Sequence[RunState], view: OverlayView) -> float:
    """How far the axis goes: to the end of runs that have ended, and beyond for what goes on."""
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
    """Each epoch, and where along it ended."""
    for epoch in state.epochs:
        if view.x_axis == "epoch":
            yield float(epoch.epoch), epoch
            continue
        step = epoch.epoch * state.steps_per_epoch
        if view.x_axis == "step":
            yield float(step), epoch
        elif index := bisect_right(state.curve.steps, step):
            yield state.curve.seconds[index - 1] + epoch.val_seconds, epoch


def _value(epoch: EpochFinished, view: OverlayView) -> float:
    return epoch.val_accuracy if view.metric == "accuracy" else epoch.val_loss


def _epoch_points(state: RunState, window: Window, view: OverlayView) -> Iterator[Point]:
    joined = False
    for place, epoch in epoch_positions(state, view):
        value = _value(epoch, view)
        if window.first <= place <= window.last and is_drawable(value):
            yield Point(window.column(place), value, joined)
            joined = True
        else:
            joined = False


def value_at_cursor(state: RunState, curves: TraceCache, view: OverlayView) -> str:
    """What a run has at the cursor, or last of all."""
    end = math.inf if view.cursor is None else view.cursor
    done = [_value(epoch, view) for place, epoch in epoch_positions(state, view) if place <= end]
    if view.metric == "accuracy":
        return percent(done[-1]) if done else "–"
    val = decimal(done[-1]) if done else "–"
    if view.metric == "validation loss":
        return val
    train = decimal(curves.train_at(state, view, end))
    return train if view.metric == "training loss" else f"{train}/{val}"
