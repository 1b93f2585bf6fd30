"""The loss chart of reports, drawn by plotext.

No other module may use plotext, because it draws into a single global figure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import plotext

from cnn_engine.runlog.state import RunState
from cnn_tui.charts.binning import axis_epochs, round_step, usual_maximum
from cnn_tui.charts.loss import axis_unit, chance_loss, val_points

Color: TypeAlias = str | tuple[int, int, int]
"""A colour name of plotext, or red, green and blue in 0..255."""

MIN_WIDTH, MIN_HEIGHT = 16, 4


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
    unit = axis_unit(state)
    train = [(point.step / unit, point.loss) for point in state.curve]
    val = [(step / unit, loss) for step, loss in val_points(state)]
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return ""
    if not any(math.isfinite(loss) for _, loss in train + val):
        return ""
    high = highest_drawn(state)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limitsize(False, False)  # otherwise it is cut to the terminal size guessed by plotext
    plotext.plotsize(width, height)
    plotext.frame(False)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    plotext.ticks_color(colors.axis)
    last = axis_epochs(max(x for x, _ in train + val), state.total_epochs)
    plotext.xlim(0, last)
    plotext.xticks(_ticks(last, max(2, width // 10)))
    for points, color in ((train, colors.train), (val, colors.val)):
        for segment in _segments(downsample(points, 4 * width)):
            x, y = zip(*segment, strict=True)
            plotext.plot(x, [min(loss, high) for loss in y], marker="braille", color=color)
    return str(plotext.build()).rstrip("\n")


def highest_drawn(state: RunState) -> float:
    """Return the loss at which higher ones are drawn, which would flatten the chart."""
    losses = [*state.curve.losses, *(epoch.val_loss for epoch in state.validated_epochs)]
    finite = [loss for loss in losses if math.isfinite(loss)]
    return usual_maximum(finite, chance_loss(state)) if finite else math.inf


def downsample(points: Sequence[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
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


def _segments(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
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
