"""Charts of reports, drawn by plotext.

No other module may use plotext, because it draws into a single global figure.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import plotext

from cnn_engine.runlog.state import RunState
from cnn_tui.charts.accuracy import accuracy_points
from cnn_tui.charts.binning import axis_epochs, linear_scale, round_step, usual_maximum
from cnn_tui.charts.loss import axis_unit, chance_loss, val_points

Color: TypeAlias = str | tuple[int, int, int]
"""A colour name of plotext, or red, green and blue in 0..255."""

Points: TypeAlias = Sequence[tuple[float, float]]
"""Pairs of epoch and value."""

RUN_COLORS = ("blue+", "orange+", "green+", "red+", "magenta+", "cyan+", "white", "gray+")
"""Colours of compared runs."""

MIN_WIDTH, MIN_HEIGHT = 16, 4

ROWS_PER_TICK = 3


class Line(NamedTuple):
    """A curve and its colour."""

    points: Points
    color: Color
    marker: str = "braille"
    """A marker of plotext, or the character to draw it with."""


@dataclass(frozen=True, kw_only=True)
class ChartColors:
    """Colours of the parts of a chart."""

    train: Color = "blue+"
    val: Color = "orange+"
    axis: Color = "gray+"


def loss_chart(state: RunState, width: int, height: int, colors: ChartColors) -> str:
    """Return both losses as text of `width` × `height` cells with ANSI colours.

    The text is empty if there is no finite loss, or if the size is below the minimum.
    """
    unit, high = axis_unit(state), highest_drawn(state)
    train = [(point.step / unit, _clipped(point.loss, high)) for point in state.curve]
    val = [(step / unit, _clipped(loss, high)) for step, loss in val_points(state)]
    lines = Line(train, colors.train), Line(val, colors.val)
    return draw_lines(lines, width, height, state.total_epochs, colors.axis)


def accuracy_chart(state: RunState, width: int, height: int, colors: ChartColors) -> str:
    """Return both accuracies in percent as text of `width` × `height` cells with ANSI colours.

    The text is empty if no epoch is finished, or if the size is below the minimum.
    """
    unit = axis_unit(state)
    train, val = ([(step / unit, value) for step, value in part] for part in accuracy_points(state))
    lines = Line(train, colors.train), Line(val, colors.val)
    return draw_lines(lines, width, height, state.total_epochs, colors.axis)


def val_loss_chart(
    states: Sequence[RunState], width: int, height: int, markers: Sequence[str]
) -> str:
    """Return the validation losses of several runs by epoch, as text with ANSI colours.

    The text is empty if there is nothing finite to draw, or if the size is below the minimum.

    Args:
        states: The runs; the first one is drawn above the others.
        width: Cells across.
        height: Lines.
        markers: What each curve is drawn with, as in `Line`.
    """
    lines = []
    for state, marker, color in zip(states, markers, RUN_COLORS, strict=False):
        points = [(step / axis_unit(state), loss) for step, loss in val_points(state)]
        lines.append(Line(points, color, marker))
    epochs = max((state.total_epochs for state in states), default=0)
    return draw_lines(lines[::-1], width, height, epochs, ChartColors().axis)


def draw_lines(
    lines: Iterable[Line], width: int, height: int, epochs: int, axis_color: Color
) -> str:
    """Return curves by epoch as text of `width` × `height` cells with ANSI colours.

    The text is empty if there is nothing finite to draw, or if the size is below the minimum.

    Args:
        lines: The curves; the last one is drawn above the others.
        width: Cells across.
        height: Lines.
        epochs: Epochs of the longest run; 0 if unknown.
        axis_color: Colour of the numbers.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return ""
    drawn = [(_segments(downsample(line.points, 4 * width)), line) for line in lines]
    values = [value for segments, _ in drawn for points in segments for _, value in points]
    if not values:
        return ""
    rows = height - 2
    scale = linear_scale(min(values), max(values), 4 * rows, max(2, rows // ROWS_PER_TICK))
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limitsize(False, False)  # otherwise it is cut to the terminal size guessed by plotext
    plotext.plotsize(width, height)
    plotext.frame(False)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    plotext.ticks_color(axis_color)
    reached = max(x for segments, _ in drawn for points in segments for x, _ in points)
    last = axis_epochs(reached, epochs)
    plotext.xlim(0, last)
    plotext.xticks(_ticks(last, max(2, width // 10)))
    plotext.ylim(scale.low, scale.high)
    plotext.yticks(scale.ticks, [f"{tick:.4g}" for tick in scale.ticks])
    for segments, line in drawn:
        for segment in segments:
            x, y = zip(*segment, strict=True)
            plotext.plot(x, y, marker=line.marker, color=line.color)
    return str(plotext.build()).rstrip("\n")


def highest_drawn(state: RunState) -> float:
    """Return the loss at which higher ones are drawn, which would flatten the chart."""
    losses = [*state.curve.losses, *(epoch.val_loss for epoch in state.validated_epochs)]
    finite = [loss for loss in losses if math.isfinite(loss)]
    return usual_maximum(finite, chance_loss(state)) if finite else math.inf


def _clipped(loss: float, high: float) -> float:
    """Return a loss, at most `high`; one that is not finite is left, as a gap is drawn for it."""
    return min(loss, high) if math.isfinite(loss) else loss


def downsample(points: Points, limit: int) -> list[tuple[float, float]]:
    """Return at most about `limit` points: the minimum and the maximum of each stretch."""
    if len(points) <= limit:
        return list(points)
    size = math.ceil(2 * len(points) / limit)
    kept = []
    for first in range(0, len(points), size):
        stretch = points[first : first + size]
        finite = [point for point in stretch if math.isfinite(point[1])] or stretch[:1]
        extremes = {min(finite, key=lambda p: p[1]), max(finite, key=lambda p: p[1])}
        kept += sorted(extremes)
    return kept


def _segments(points: Points) -> list[list[tuple[float, float]]]:
    """Return the stretches between non-finite values, which are drawn as gaps."""
    segments: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            segments[-1].append(point)
        elif segments[-1]:
            segments.append([])
    return [segment for segment in segments if segment]


def _ticks(last: int, count: int) -> list[int]:
    """Return whole epochs from 0 to `last` in round steps, at most about `count`."""
    return list(range(0, last + 1, int(round_step(max(1.0, last / count)))))
