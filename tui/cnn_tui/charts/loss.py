"""The loss chart as lines of styled cells: curves, markers, a cursor, and axes."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import NamedTuple

from cnn_engine.runlog.state import RunState
from cnn_tui.charts.axes import (
    AXIS,
    MARGIN,
    NOTE,
    StyledCells,
    add_frame,
    axis_ticks,
    chart_layout,
    draw_axis,
    draw_cursor,
    draw_tick_labels,
    fit_scale,
    legend_line,
)
from cnn_tui.charts.binning import BinnedCurve, Scale, Window, is_drawable, points_in
from cnn_tui.charts.braille import DotGrid, merge
from cnn_tui.text.numbers import decimal

CELLS_BETWEEN_RINGS = 4
MAX_ZOOM = 12
SMOOTHINGS = (("", 0.0), ("smooth", 0.8), ("smoother", 0.95))
"""Name of each smoothing, and its weight in the moving average."""

MARKS = {
    "checkpoint": "■",
    "pause": "‖",
    "lr": "◆",
    "epochs": "±",
    "stop": "▾",
    "resume": "▶",
    "rollback": "←",
}
"""Characters of the markers on the axis; the last of several in one cell is drawn."""

LINED_MARKERS = frozenset({"lr", "pause", "resume", "rollback"})
"""Markers with a vertical line through the chart."""

TRAIN, VAL, BAND = "$primary", "$secondary", "$band"


@dataclass(frozen=True, kw_only=True)
class ChartView:
    """The part of a chart in view, and how it is drawn."""

    zoom: int = 0
    """Times that the window is halved."""

    cursor: float | None = None
    """Position of the cursor; None to follow the newest point."""

    log: bool = False
    """True for a logarithmic scale."""

    smoothing: int = 0
    """Index into `SMOOTHINGS`."""


class Reading(NamedTuple):
    """The values at the cursor."""

    step: int
    epoch: int
    train: float | None
    low: float
    high: float
    val: float | None


def visible_window(view: ChartView, newest: float, whole: float, columns: int) -> Window:
    """Return the part of an axis of length `whole` in view, around the newest point or the cursor.

    A cursor has at least a quarter of the window on either side. The window moves by half of its
    width, so that a growing curve does not move at every step.
    """
    width = whole / 2**view.zoom
    if view.cursor is None:
        first = math.ceil(2 * newest / width) * width / 2 - width
    else:
        first = math.floor(2 * view.cursor / width) * width / 2 - width / 4
    first = min(max(first, 0.0), whole - width)
    return Window(first, first + width, columns)


def val_points(state: RunState) -> list[tuple[float, float]]:
    """Return step and validation loss at the end of each validated epoch."""
    return [
        (epoch.epoch * state.steps_per_epoch, epoch.val_loss) for epoch in state.validated_epochs
    ]


def read_at(state: RunState, binned: BinnedCurve, cursor: float) -> Reading:
    """Return the values at the cursor: step of the next point, mean and extremes in its cell."""
    steps, steps_per_epoch = state.curve.steps, state.steps_per_epoch
    step = steps[min(bisect_left(steps, cursor), len(steps) - 1)]
    cell = min(max(binned.window.column(step), 0), binned.window.columns - 1) // 2
    columns = (2 * cell, 2 * cell + 1)
    means = [mean for column in columns if (mean := binned.mean(column)) is not None]
    val_losses = [loss for end, loss in val_points(state) if end <= step]
    return Reading(
        step=step,
        epoch=math.ceil(step / steps_per_epoch),
        train=sum(means) / len(means) if means else None,
        low=min(binned.low[column] for column in columns),
        high=max(binned.high[column] for column in columns),
        val=val_losses[-1] if val_losses else None,
    )


def draw_loss_chart(
    state: RunState, binned: BinnedCurve, view: ChartView, width: int, height: int
) -> list[StyledCells] | None:
    """Return the whole chart, `height` lines of `width` cells; None before the first loss."""
    window = binned.window
    vals = [(step, loss) for step, loss in val_points(state) if window.first <= step <= window.last]
    layout = chart_layout(height, has_cursor=view.cursor is not None)
    scale = fit_scale(visible_losses(binned, vals), layout.rows, log=view.log)
    if scale is None:
        return None
    lines = _curves(binned, vals, scale, width - MARGIN, layout.rows)
    _draw_marker_lines(lines, state, window)
    if view.cursor is not None:
        draw_cursor(lines, window.column(view.cursor) // 2, beneath=BAND)
    _draw_rings(lines, state, vals, window, scale)
    ticks = axis_ticks(window, state.steps_per_epoch)
    legend = _legend(state, binned, view, width)
    axis_and_labels = _axis(state, window, ticks), draw_tick_labels(ticks, window)
    return add_frame(lines, layout, scale, legend, axis_and_labels)


def visible_losses(binned: BinnedCurve, vals: list[tuple[float, float]]) -> list[float]:
    """Return all drawn losses: the extremes of the training loss, and the validation losses."""
    losses = [loss for _, low, high in binned.extremes() for loss in (low, high)]
    return losses + [loss for _, loss in vals if is_drawable(loss)]


def _curves(
    binned: BinnedCurve, vals: list[tuple[float, float]], scale: Scale, width: int, rows: int
) -> list[StyledCells]:
    band, train, val = (DotGrid(width, rows) for _ in range(3))
    for column, low, high in binned.extremes():
        band.shade(column, scale.row(high), scale.row(low))
    train.curve(binned.means(), scale)
    val.curve(points_in(binned.window, vals), scale)
    return [
        merge([(train.cells(row), TRAIN), (val.cells(row), VAL)], (band.cells(row), BAND))
        for row in range(rows)
    ]


def _draw_rings(
    lines: list[StyledCells],
    state: RunState,
    vals: list[tuple[float, float]],
    window: Window,
    scale: Scale,
) -> None:
    """Draw rings on the validation curve, for terminals without colours, and ★ on the best."""
    best = state.best.epoch * state.steps_per_epoch if state.best else None
    free_from = 0
    for step, loss in sorted(vals, key=lambda point: point[0] == best):
        cell = window.column(step) // 2
        if is_drawable(loss) and (step == best or cell >= free_from):
            lines[scale.row(loss) // 4][cell] = ("★" if step == best else "○", VAL)
            free_from = cell + CELLS_BETWEEN_RINGS


def _draw_marker_lines(lines: list[StyledCells], state: RunState, window: Window) -> None:
    """Draw a vertical line where training was changed or interrupted."""
    for marker in state.markers:
        if marker.kind in LINED_MARKERS and window.first <= marker.step <= window.last:
            cell = window.column(marker.step) // 2
            for line in lines:
                if line[cell][0] == " ":
                    line[cell] = ("┊", AXIS)


def _axis(state: RunState, window: Window, ticks: dict[int, str]) -> StyledCells:
    line = draw_axis(ticks, window)
    for marker in state.markers:
        # The best epoch is marked on its curve; earlier bests would crowd the axis.
        if marker.kind != "best" and window.first <= marker.step <= window.last:
            line[MARGIN + window.column(marker.step) // 2] = (MARKS[marker.kind], NOTE)
    return line


def _legend(state: RunState, binned: BinnedCurve, view: ChartView, width: int) -> StyledCells:
    if view.cursor is not None:
        return legend_line(_reading_parts(read_at(state, binned, view.cursor)), [], width)
    curves = [("━", TRAIN), (" train  ", NOTE), ("○", VAL), (" val ", NOTE)]
    return legend_line([(view_text(view), NOTE)], curves, width)


def view_text(view: ChartView, *, has_log: bool = True) -> str:
    """Return the view in words, such as `4× zoom · log`; defaults are left out.

    Args:
        view: The view.
        has_log: False for a metric that is always on a linear scale.
    """
    zoom = f"{2**view.zoom}× zoom" if view.zoom else ""
    log = "log" if view.log and has_log else ""
    return " · ".join(filter(None, [zoom, log, SMOOTHINGS[view.smoothing][0]]))


def _reading_parts(reading: Reading) -> list[tuple[str, str]]:
    band = f"{decimal(reading.low, 2)}–{decimal(reading.high, 2)}"
    return [
        (f"epoch {reading.epoch}  ", "bold"),
        (f"train {decimal(reading.train)}  ", TRAIN),
        (f"val {decimal(reading.val)}  ", VAL),
        (f"step {reading.step:,}  ", NOTE),
        (band if reading.low <= reading.high else "", NOTE),
    ]
