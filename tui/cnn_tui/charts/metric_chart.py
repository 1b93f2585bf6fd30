"""Charts of any series as lines of styled cells: small ones of a grid, and one enlarged."""

import math
import statistics
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from cnn_engine.runlog.state import Marker
from cnn_tui.charts.axes import (
    AXIS,
    CURSOR_LINE,
    MARKER_LINE,
    NOTE,
    StyledCells,
    add_frame,
    add_scale,
    axis_ticks,
    chart_layout,
    draw_axis,
    draw_tick_labels,
    draw_vertical,
    fit_scale,
    legend_line,
    to_cells,
    with_background,
)
from cnn_tui.charts.binning import BinnedCurve, Scale, Window, is_drawable
from cnn_tui.charts.braille import DotGrid, merge
from cnn_tui.charts.loss import (
    CELLS_BETWEEN_RINGS,
    CLIPPED,
    LINED_MARKERS,
    ChartView,
    draw_band,
    view_text,
)
from cnn_tui.charts.metric_groups import MetricGroup, MetricLine
from cnn_tui.charts.run_metrics import Binned, Metric
from cnn_tui.text.numbers import significant
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import cut, cut_start

LABEL_WIDTH = 6
MARGIN = LABEL_WIDTH + 1
"""Cells left of the curves."""

CLIPPED_BELOW = "▾"
"""Character in the bottom line where values are below the scale."""

MIN_ROWS_WITH_BAND = 8
MIN_BAND_DOTS = 4
"""Height of the range of single steps from which on it is shaded, in dots: the usual height in a
small chart, the greatest one in an enlarged chart."""

RANGE_MARGIN = 1.0
"""Room above and below the means for the range of single steps, as a fraction of their span."""

MIN_VALUES_TO_CLIP = 20
MAX_DISTANCE = 5
"""Distance from the usual values up to which others are on the scale, in spans of the usual."""

CONSTANT = 1e-6
"""Relative span up to which values are the same."""

MIN_TITLE = 16
"""Cells of a title before values are left out."""

MAX_NAME = 300
"""Characters of a name that are looked at."""


class MetricChart(NamedTuple):
    """Content of a chart: its series, their binned curves, the view and the steps of an epoch."""

    group: MetricGroup
    metrics: dict[str, Metric]
    binned: Binned
    view: ChartView

    unit: float
    """Steps of 1 on the axis: an epoch, or 1 if the length of an epoch is unknown."""

    markers: Sequence[Marker] = ()
    """Commands and other events, some of which are drawn as lines."""

    @property
    def window(self) -> Window:
        """The steps in view."""
        return self.binned[self.group.lines[0].name].window

    def value(self, line: MetricLine) -> float | None:
        """Return the value at the cursor, or the latest one without a cursor; None before any."""
        curve, last = self.metrics[line.name]
        if self.view.cursor is None:
            return last
        columns = _columns_at(self.window, self.view.cursor)
        means = [self.binned[line.name].mean(column) for column in columns]
        found = [mean for mean in means if mean is not None]
        if found:
            return sum(found) / len(found)
        index = bisect_right(curve.steps, self.view.cursor)
        return curve.losses[index - 1] if index else None


def draw_tile(
    chart: MetricChart, width: int, height: int, *, is_selected: bool
) -> list[StyledCells]:
    """Return a small chart: its title with the values, and the curves with their scale."""
    title = _title_line(chart, width, is_selected=is_selected)
    return [title, *_plot(chart, width, height - 1)[0]]


def draw_tile_axis(window: Window, unit: float) -> StyledCells:
    """Return the line with the numbers of the axis, for the charts of a column of tiles."""
    return draw_tick_labels(axis_ticks(window, unit), window, LABEL_WIDTH)


def draw_enlarged(chart: MetricChart, width: int, height: int) -> list[StyledCells]:
    """Return a chart with a legend and an axis, `height` lines of `width` cells."""
    layout = chart_layout(height, has_cursor=chart.view.cursor is not None)
    layout = layout._replace(label_width=LABEL_WIDTH)
    lines, scale = _plot(chart, width, layout.rows, is_enlarged=True)
    legend = _legend(chart, width)
    if scale is None:
        return [legend, *lines, *[[(" ", "")] * width] * (height - len(lines) - 1)][:height]
    ticks = axis_ticks(chart.window, chart.unit)
    axis = (
        draw_axis(ticks, chart.window, LABEL_WIDTH),
        draw_tick_labels(ticks, chart.window, LABEL_WIDTH),
    )
    return add_frame(lines, layout, scale, legend, axis)


def _plot(
    chart: MetricChart, width: int, rows: int, *, is_enlarged: bool = False
) -> tuple[list[StyledCells], Scale | None]:
    """Return the curves and their scale, which is drawn unless the chart is enlarged.

    If there is nothing to draw in view, return a note and None.
    """
    binned = [chart.binned[line.name] for line in chart.group.lines]
    values = _values_to_fit(binned, log=chart.view.log, has_band=rows >= MIN_ROWS_WITH_BAND)
    scale = fit_scale(values, rows, log=chart.view.log) if rows > 0 else None
    if scale is None:
        note = cut(_reason(chart), width).center(width)
        blank = [(" ", "")] * width
        lines = [blank] * max(0, rows)
        if lines:
            lines[(rows - 1) // 2] = to_cells(note, NOTE)
        return lines, None
    grids = [DotGrid(width - MARGIN, rows) for _ in binned]
    for grid, curve in zip(grids, binned, strict=True):
        grid.curve(curve.means(), scale)
    lines = [
        merge(
            [
                (grid.cells(row), line.style)
                for grid, line in zip(grids, chart.group.lines, strict=True)
            ]
        )
        for row in range(rows)
    ]
    heights = [scale.row(low) - scale.row(high) for _, low, high in binned[0].extremes()]
    height = (max if is_enlarged else statistics.median)(heights or [0])
    if rows >= MIN_ROWS_WITH_BAND and height >= MIN_BAND_DOTS:
        draw_band(lines, binned[0], scale)
    for marker in chart.markers:
        if marker.kind in LINED_MARKERS:
            draw_vertical(lines, chart.window.column(marker.step) // 2, MARKER_LINE, AXIS)
    if chart.view.cursor is not None:
        cell = chart.window.column(chart.view.cursor) // 2
        draw_vertical(lines, cell, CURSOR_LINE, "$foreground")
    for index, (line, curve) in enumerate(zip(chart.group.lines, binned, strict=True)):
        _draw_marks(lines, line, curve, scale, 2 * index)
        _mark_clipped(lines, line, curve, scale)
    return lines if is_enlarged else add_scale(lines, scale, LABEL_WIDTH), scale


def _reason(chart: MetricChart) -> str:
    """Return why no curve is drawn."""
    if any(any(_means(chart.binned[line.name])) for line in chart.group.lines):
        return "no positive values"
    return "no values here" if chart.view.zoom else "no finite values"


def _means(binned: BinnedCurve) -> Iterator[float]:
    return (point.value for point in binned.means())


def _values_to_fit(binned: list[BinnedCurve], *, log: bool, has_band: bool) -> list[float]:
    """Return values that the scale includes: the means but a few outliers, and the usual range."""
    means = sorted(
        mean
        for curve in binned
        for mean in _means(curve)
        if is_drawable(mean) and (not log or mean > 0)
    )
    if not means:
        return []
    low, high = _without_outliers(means, log=log)
    if high - low <= CONSTANT * abs(high):  # centred, and with round numbers
        value = float(f"{high:.6g}")  # of float32
        return [value / 2, value * 2] if log else [0.0, 2 * value or 1.0]
    if not has_band:
        return [low, high]
    to_scale, from_scale = (math.log, math.exp) if log else (float, float)
    margin = RANGE_MARGIN * (to_scale(high) - to_scale(low))
    least, most = from_scale(to_scale(low) - margin), from_scale(to_scale(high) + margin)
    lows = sorted(low for _, low, _ in binned[0].extremes() if not log or low > 0)
    highs = sorted(high for _, _, high in binned[0].extremes() if not log or high > 0)
    usual = [
        values[int(part * (len(values) - 1))]
        for part, values in ((0.05, lows), (0.95, highs))
        if values
    ]
    return [low, high, *(min(max(value, least), most) for value in usual)]


def _without_outliers(ordered: list[float], *, log: bool) -> tuple[float, float]:
    """Return the extremes of sorted values without a few that are far from all others."""
    if len(ordered) < MIN_VALUES_TO_CLIP or log:
        return ordered[0], ordered[-1]
    low, high = (ordered[int(part * (len(ordered) - 1))] for part in (0.05, 0.95))
    distance = MAX_DISTANCE * (high - low)
    if not distance:
        return ordered[0], ordered[-1]
    usual = [value for value in ordered if low - distance <= value <= high + distance]
    return usual[0], usual[-1]


def _draw_marks(
    lines: list[StyledCells], line: MetricLine, binned: BinnedCurve, scale: Scale, offset: int
) -> None:
    """Draw characters on all lines but the first, for terminals without colours."""
    if not line.mark:
        return
    free_from = 0
    for point in binned.means():
        cell, row = point.column // 2, scale.row(point.value) // 4
        if cell >= free_from and is_drawable(point.value) and (not scale.log or point.value > 0):
            lines[row][cell] = (line.mark, with_background(line.style, lines[row][cell][1]))
            free_from = cell + CELLS_BETWEEN_RINGS + offset


def _mark_clipped(
    lines: list[StyledCells], line: MetricLine, binned: BinnedCurve, scale: Scale
) -> None:
    """Mark the means above and below the scale."""
    for point in binned.means():
        if point.value > scale.high:
            lines[0][point.column // 2] = (CLIPPED, line.style)
        elif point.value < scale.low:
            lines[-1][point.column // 2] = (CLIPPED_BELOW, line.style)


def _columns_at(window: Window, position: float) -> tuple[int, int]:
    cell = min(max(window.column(position), 0), window.columns - 1) // 2
    return 2 * cell, 2 * cell + 1


def _title_line(chart: MetricChart, width: int, *, is_selected: bool) -> StyledCells:
    """Return the name at the left and the values at the right, as many as leave room for it."""
    title = safe_text(chart.group.title, MAX_NAME)
    room = width - min(cell_len(title), MIN_TITLE) - 3
    right: StyledCells = []
    for texts in _value_texts(chart):
        right = [cell for text, style in texts for cell in to_cells(text, style)][:width]
        if len(right) <= room:
            break
    mark = "› " if is_selected else "  "
    title = cut_start(title, max(0, width - len(right) - len(mark) - 1))
    left = to_cells(mark + title, "bold $primary" if is_selected else "bold")[: width - len(right)]
    return [*left, *[(" ", "")] * (width - len(left) - len(right)), *right]


def _value_texts(chart: MetricChart) -> Iterator[list[tuple[str, str]]]:
    """Yield the values of all lines with their labels, then without, then of ever fewer lines."""
    lines = chart.group.lines
    yield [text for line in lines for text in _value_text(chart, line, has_label=True)]
    for count in range(len(lines), 0, -1):
        yield [text for line in lines[:count] for text in _value_text(chart, line)]


def _value_text(
    chart: MetricChart, line: MetricLine, *, has_label: bool = False
) -> list[tuple[str, str]]:
    """Return the value of a line as texts and styles."""
    value = chart.value(line)
    label = f"{safe_text(line.label, 20)} " if has_label and line.label else ""
    text = "–" if value is None else significant(value)
    is_bad = value is not None and not math.isfinite(value)
    return [
        (f" {line.mark}{' ' * (has_label and bool(line.mark))}", line.style),
        (label, NOTE),
        (text, "bold $text-error" if is_bad else line.style),
    ]


def _legend(chart: MetricChart, width: int) -> StyledCells:
    """Return the values of all lines, the position of a cursor, and the range in view."""
    cursor, parts = chart.view.cursor, list[tuple[str, str]]()
    if cursor is not None:
        parts.append((f"{position_text(cursor, chart.unit)} ", "bold"))
    for line in chart.group.lines:
        mark = line.mark or ("━" if line.label else "")
        parts += _value_text(chart, line._replace(mark=mark), has_label=True)
    columns = None if cursor is None else _columns_at(chart.window, cursor)
    extremes = [
        (low, high)
        for column, low, high in chart.binned[chart.group.lines[0].name].extremes()
        if columns is None or column in columns
    ]
    if extremes:
        low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
        parts.append((f"   range {significant(low)} to {significant(high)}", NOTE))
    return legend_line(parts, [(view_text(chart.view), NOTE)], width)


def position_text(step: float, unit: float) -> str:
    """Return `epoch 2 · step 1,234`, or only the step if the length of an epoch is unknown."""
    text = f"step {step:,.0f}"
    return f"epoch {math.ceil(step / unit)} · {text}" if unit > 1 else text
