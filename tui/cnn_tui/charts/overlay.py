"""Curves of several runs in one chart, each with its letter and colour."""

from collections.abc import Sequence
from itertools import pairwise

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
from cnn_tui.charts.binning import Scale, Window
from cnn_tui.charts.braille import DotGrid, merge
from cnn_tui.charts.loss import view_text
from cnn_tui.charts.traces import OverlayView, Trace

TIME_UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
CELLS_BETWEEN_LETTERS = 9
BAND_SPACING = 4
"""Columns and rows of dots from one dot of a band to the next."""


def draw_overlay(
    traces: Sequence[Trace],
    readings: Sequence[tuple[str, str, str]],
    window: Window,
    view: OverlayView,
    size: tuple[int, int],
) -> list[StyledCells] | None:
    """Return the whole chart; None while there is nothing to draw.

    Args:
        traces: The curves; a cell with several curves has the style of the first.
        readings: Letter, style and text of each run, for the legend.
        window: The window in view.
        view: Metric, axis, scale and cursor.
        size: Cells across and down.
    """
    width, height = size
    is_accuracy = view.metric == "accuracy" and not view.series
    layout = chart_layout(height, has_cursor=view.cursor is not None)
    values = [point.value for trace in traces for point in trace.points]
    values += [end for trace in traces for _, *ends in trace.band for end in ends]
    scale = fit_scale(values, layout.rows, log=view.log and not is_accuracy)
    if scale is None:
        return None
    lines = _curves(traces, scale, width - MARGIN, layout.rows)
    if view.cursor is not None:
        draw_vertical(lines, window.column(view.cursor) // 2, CURSOR_LINE, "$foreground")
    for number, trace in enumerate(traces):
        _draw_letters(lines, trace, scale, number, len(traces))
    ticks = axis_ticks(window, time_unit(window)[0] if view.x_axis == "time" else 1.0)
    legend = _legend(readings, window, view, width)
    axis_and_labels = draw_axis(ticks, window), draw_tick_labels(ticks, window)
    return add_frame(lines, layout, scale, legend, axis_and_labels)


def time_unit(window: Window) -> tuple[float, str]:
    """Return the unit for a window in seconds: its length in seconds, and its name."""
    return next((unit for unit in TIME_UNITS if window.last >= 2 * unit[0]), TIME_UNITS[-1])


def _curves(traces: Sequence[Trace], scale: Scale, width: int, rows: int) -> list[StyledCells]:
    grids = []
    for trace in traces:
        grid = DotGrid(width, rows)
        grid.curve(trace.points, scale)
        grids.append((grid, trace.style))
    grids += [
        (_band_grid(trace, scale, width, rows), trace.style) for trace in traces if trace.band
    ]
    return [
        merge([(grid.cells(row), style) for grid, style in grids]) if grids else [(" ", "")] * width
        for row in range(rows)
    ]


def _band_grid(trace: Trace, scale: Scale, width: int, rows: int) -> DotGrid:
    """Return the band around a mean as sparse dots, so that its curve stands out."""
    grid = DotGrid(width, rows)
    ends = [(column, scale.row(upper), scale.row(lower)) for column, lower, upper in trace.band]
    for (x0, top0, bottom0), (x1, top1, bottom1) in pairwise([*ends[:1], *ends]):
        for x in range(x0, x1 + 1):
            share = (x - x0) / (x1 - x0) if x1 > x0 else 1.0
            top = round(top0 + share * (top1 - top0))
            bottom = round(bottom0 + share * (bottom1 - bottom0))
            if x % BAND_SPACING == 0:
                for y in range(top + -(top + x) % BAND_SPACING, bottom + 1, BAND_SPACING):
                    grid.bar(x, y, y)
    return grid


def _draw_letters(
    lines: list[StyledCells], trace: Trace, scale: Scale, number: int, count: int
) -> None:
    """Draw letters along a curve and at its end; different curves use different columns."""
    spacing = CELLS_BETWEEN_LETTERS * count
    free_from = CELLS_BETWEEN_LETTERS * number
    for index, point in enumerate(trace.points):
        cell, row = point.column // 2, scale.row(point.value) // 4
        is_last = index == len(trace.points) - 1
        if (cell >= free_from or is_last) and not lines[row][cell][0].isalpha():
            lines[row][cell] = (trace.letter, f"bold {trace.style}")
            free_from = cell + spacing


def _legend(
    readings: Sequence[tuple[str, str, str]], window: Window, view: OverlayView, width: int
) -> StyledCells:
    parts = []
    if view.cursor is not None:
        parts.append((f"{cursor_text(window, view)}  ", "bold"))
    for letter, style, text in readings:
        parts += [(f"{letter} ", f"bold {style}"), (f"{text}  ", NOTE)]
    modes = view_text(view, has_log=bool(view.series) or view.metric != "accuracy")
    return legend_line(parts, [(f" {modes}" if modes else "", NOTE)], width)


def cursor_text(window: Window, view: OverlayView) -> str:
    """Return the position of the cursor, such as `epoch 3.5`."""
    cursor = view.cursor or 0.0
    if view.x_axis == "time":
        unit, name = time_unit(window)
        return f"{cursor / unit:.1f} {name}"
    return f"step {cursor:,.0f}" if view.x_axis == "step" else f"epoch {cursor:.1f}"
