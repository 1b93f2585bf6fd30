"""The accuracy chart as lines of styled cells: training and validation accuracy by epoch."""

from collections import deque

from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.axes import (
    CURSOR_LINE,
    MARGIN,
    NOTE,
    StyledCells,
    add_frame,
    axis_ticks,
    chart_layout,
    draw_axis,
    draw_tick_labels,
    draw_vertical,
    fit_scale,
    legend_line,
)
from cnn_tui.charts.binning import Window, is_drawable, points_in
from cnn_tui.charts.braille import DotGrid, merge
from cnn_tui.charts.end_labels import EndLabel, add_end_labels
from cnn_tui.charts.loss import CURVES, TRAIN, VAL, ChartView, axis_unit, draw_rings, view_text
from cnn_tui.text.numbers import percent

Points = list[tuple[float, float]]
"""Step at the end of an epoch, and its accuracy in percent."""


def accuracy_points(state: RunState) -> tuple[Points, Points]:
    """Return the points of the training and of the validation accuracy."""
    train = [(float(state.end_of(epoch)), 100 * epoch.train_accuracy) for epoch in state.epochs]
    val = [
        (float(state.end_of(epoch)), 100 * epoch.val_accuracy) for epoch in state.validated_epochs
    ]
    return train, val


def draw_accuracy_chart(
    state: RunState, window: Window, view: ChartView, width: int, height: int
) -> list[StyledCells] | None:
    """Return the whole chart, `height` lines of `width` cells; None if no epoch is in view."""
    train, val = accuracy_points(state)
    shown = [
        value
        for step, value in train + val
        if window.first <= step <= window.last and is_drawable(value)
    ]
    layout = chart_layout(height, has_cursor=view.cursor is not None)
    scale = fit_scale(shown, layout.rows, log=False)
    if scale is None:
        return None
    columns = window.columns // 2
    grids = DotGrid(columns, layout.rows), DotGrid(columns, layout.rows)
    for grid, points in zip(grids, (train, val), strict=True):
        grid.curve(points_in(window, points), scale)
    lines = [
        merge([(grids[0].cells(row), TRAIN), (grids[1].cells(row), VAL)])
        for row in range(layout.rows)
    ]
    if view.cursor is not None:
        draw_vertical(lines, window.column(view.cursor) // 2, CURSOR_LINE, "$foreground")
    in_view = [(step, value) for step, value in val if window.first <= step <= window.last]
    draw_rings(lines, state, in_view, window, scale)
    ends = [
        EndLabel(point.column, point.value, f"{point.value:.1f}%", style)
        for points, style in ((train, TRAIN), (val, VAL))
        for point in deque(points_in(window, points), maxlen=1)
    ]
    add_end_labels(lines, ends, scale, width - MARGIN - columns)
    ticks = axis_ticks(window, axis_unit(state))
    axis_and_labels = draw_axis(ticks, window), draw_tick_labels(ticks, window)
    return add_frame(lines, layout, scale, _legend(state, view, width), axis_and_labels)


def _legend(state: RunState, view: ChartView, width: int) -> StyledCells:
    if view.cursor is None:
        return legend_line([(view_text(view, has_log=False), NOTE)], CURVES, width)
    epoch = _last_epoch_before(state, view.cursor)
    if epoch is None:
        return legend_line([("no epoch yet", NOTE)], [], width)
    val = percent(epoch.val_accuracy) if epoch.is_validated else "–"
    parts = [
        (f"epoch {epoch.epoch}  ", "bold"),
        (f"train {percent(epoch.train_accuracy)}  ", TRAIN),
        (f"val {val}", VAL),
    ]
    return legend_line(parts, [], width)


def _last_epoch_before(state: RunState, step: float) -> EpochFinished | None:
    """Return the last epoch that had finished at a step; None if none had."""
    finished = [epoch for epoch in state.epochs if state.end_of(epoch) <= step]
    return finished[-1] if finished else None
