"""Curves of several runs in one chart, told apart by letters as well as by colours."""

from collections.abc import Sequence

from cnn_tui.charts.axes import (
    MARGIN,
    MIN_HEIGHT_WITH_AXIS,
    MIN_HEIGHT_WITH_LABELS,
    MIN_HEIGHT_WITH_LEGEND,
    NOTE,
    StyledCells,
    add_scale,
    axis_ticks,
    draw_axis,
    draw_cursor,
    draw_tick_labels,
    fit_scale,
    legend_line,
)
from cnn_tui.charts.binning import Scale, Window
from cnn_tui.charts.braille import DotGrid, merge
from cnn_tui.charts.loss import SMOOTHINGS
from cnn_tui.charts.traces import OverlayView, Trace

UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
CELLS_BETWEEN_LETTERS = 9


def draw_overlay(
    traces: Sequence[Trace],
    readings: Sequence[tuple[str, str, str]],
    window: Window,
    view: OverlayView,
    size: tuple[int, int],
) -> list[StyledCells] | None:
    """The whole chart; None while there is nothing to draw.

    Args:
        traces: The curves; where several meet in a cell, the first one's colour is seen.
        readings: Letter, style and values of each run, as they stand above the chart.
        window: What is shown, along the axis.
        view: How.
        size: Cells across and down.
    """
    width, height = size
    has_legend = height >= MIN_HEIGHT_WITH_LEGEND or view.cursor is not None
    has_labels, has_axis = height >= MIN_HEIGHT_WITH_LABELS, height >= MIN_HEIGHT_WITH_AXIS
    rows = height - has_legend - has_labels - has_axis
    values = [point.value for trace in traces for point in trace.points]
    scale = fit_scale(values, rows, log=view.log and view.metric != "accuracy")
    if scale is None:
        return None
    lines = _curves(traces, scale, width - MARGIN, rows)
    if view.cursor is not None:
        draw_cursor(lines, window.column(view.cursor) // 2)
    for number, trace in enumerate(traces):
        _put_letters(lines, trace, scale, number, len(traces))
    lines = add_scale(lines, scale)
    ticks = axis_ticks(window, time_unit(window)[0] if view.x_axis == "time" else 1.0)
    if has_axis:
        lines.append(draw_axis(ticks, window))
    if has_labels:
        lines.append(draw_tick_labels(ticks, window))
    if has_legend:
        lines.insert(0, _legend(readings, window, view, width))
    return lines


def time_unit(window: Window) -> tuple[float, str]:
    """Seconds in the unit that a window of time is best told in, and its name."""
    return next((unit for unit in UNITS if window.last >= 2 * unit[0]), UNITS[-1])


def _curves(traces: Sequence[Trace], scale: Scale, width: int, rows: int) -> list[StyledCells]:
    layers = []
    for trace in traces:
        layer, before = DotGrid(width, rows), None
        for point in trace.points:
            there = point.column, scale.row(point.value)
            layer.line(*(before if before and point.joined else there), *there)
            before = there
        layers.append((layer, trace.style))
    blank = DotGrid(width, rows)
    return [
        merge([(layer.cells(row), style) for layer, style in layers], (blank.cells(row), ""))
        for row in range(rows)
    ]


def _put_letters(
    lines: list[StyledCells], trace: Trace, scale: Scale, number: int, count: int
) -> None:
    """Letters along a curve, each curve's in other columns, and one at its end."""
    spacing = CELLS_BETWEEN_LETTERS * count
    free_from = CELLS_BETWEEN_LETTERS * number
    for place, point in enumerate(trace.points):
        cell, row = point.column // 2, scale.row(point.value) // 4
        is_last = place == len(trace.points) - 1
        if (cell >= free_from or is_last) and not lines[row][cell][0].isalpha():
            lines[row][cell] = (trace.letter, f"bold {trace.style}")
            free_from = cell + spacing


def _legend(
    readings: Sequence[tuple[str, str, str]], window: Window, view: OverlayView, width: int
) -> StyledCells:
    parts = [part for letter, style, text in readings for part in _named(letter, style, text)]
    if view.cursor is not None:
        parts = [(f"{cursor_text(window, view)}  ", "bold"), *parts]
    zoom = f"{2**view.zoom}× zoom" if view.zoom else ""
    log = "log" if view.log and view.metric != "accuracy" else ""
    modes = " · ".join(filter(None, [zoom, log, SMOOTHINGS[view.smoothing][0]]))
    return legend_line(parts, [(f" {modes}" if modes else "", NOTE)], width)


def _named(letter: str, style: str, text: str) -> list[tuple[str, str]]:
    return [(f"{letter} ", f"bold {style}"), (f"{text}  ", NOTE)]


def cursor_text(window: Window, view: OverlayView) -> str:
    """Where the cursor stands."""
    cursor = view.cursor or 0.0
    if view.x_axis == "time":
        unit, name = time_unit(window)
        return f"{cursor / unit:.1f} {name}"
    return f"step {cursor:,.0f}" if view.x_axis == "step" else f"epoch {cursor:.1f}"
