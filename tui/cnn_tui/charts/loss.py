"""The loss chart as lines of styled cells: curves, markers, a cursor, and axes."""

import math
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from cnn_engine.runlog.state import RunState
from cnn_tui.charts.axes import (
    AXIS,
    CURSOR_LINE,
    MARGIN,
    MARKER_LINE,
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
    with_background,
)
from cnn_tui.charts.binning import (
    BinnedCurve,
    Scale,
    Window,
    axis_epochs,
    is_drawable,
    points_in,
    usual_maximum,
)
from cnn_tui.charts.braille import DotGrid, merge
from cnn_tui.charts.end_labels import EndLabel, add_end_labels, short_number
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

TRAIN, VAL, BAND = "$primary", "$secondary", "on $band"
CURVES = [("━", TRAIN), (" train  ", NOTE), ("○", VAL), (" val ", NOTE)]
"""Legend of both curves."""

CLIPPED = "▴"
"""Character in the top line where losses are above the scale."""

RANGE_MARGIN = 0.25
"""Room above and below the means for the range of single steps, as a fraction of the span."""


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
    """0 if the steps per epoch are unknown."""
    train: float | None
    low: float
    high: float
    val: float | None


def axis_unit(state: RunState) -> int:
    """Return the steps of 1 on the axis: an epoch, or a step if the steps per epoch are unknown."""
    return max(1, state.steps_per_epoch)  # a damaged log may contain anything


def axis_name(state: RunState) -> str:
    """Return `epoch` or `step`, the unit of the axis."""
    return "epoch" if state.steps_per_epoch or state.is_own else "step"


def axis_steps(state: RunState, newest: int) -> int:
    """Return the length of the axis in steps; of an unknown length, it grows by quarters."""
    unit = axis_unit(state)
    if state.steps_per_epoch and (state.total_epochs or state.imported):
        return max(newest, axis_epochs(newest / unit, state.total_epochs) * unit)
    whole = float(unit)
    while whole < newest:
        whole *= 1.25
    return newest if state.has_ended else math.ceil(whole)


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
    return [(state.end_of(epoch), epoch.val_loss) for epoch in state.validated_epochs]


def read_at(state: RunState, binned: BinnedCurve, cursor: float) -> Reading:
    """Return the values at the cursor: step of the next point, mean and extremes in its cell."""
    steps = state.curve.steps
    step = steps[min(bisect_left(steps, cursor), len(steps) - 1)]
    cell = min(max(binned.window.column(step), 0), binned.window.columns - 1) // 2
    columns = (2 * cell, 2 * cell + 1)
    means = [mean for column in columns if (mean := binned.mean(column)) is not None]
    val_losses = [loss for end, loss in val_points(state) if end <= step]
    return Reading(
        step=step,
        epoch=math.ceil(step / state.steps_per_epoch) if state.steps_per_epoch else 0,
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
    values = values_to_fit(binned, vals, chance_loss(state), log=view.log)
    scale = fit_scale(values, layout.rows, log=view.log)
    if scale is None:
        return None
    lines = _curves(binned, vals, scale, layout.rows)
    draw_band(lines, binned, scale)
    for marker in state.markers:
        if marker.kind in LINED_MARKERS and window.first <= marker.step <= window.last:
            draw_vertical(lines, window.column(marker.step) // 2, MARKER_LINE, AXIS)
    if view.cursor is not None:
        draw_vertical(lines, window.column(view.cursor) // 2, CURSOR_LINE, "$foreground")
    draw_rings(lines, state, vals, window, scale)
    highest = _mark_clipped(lines[0], binned, scale)
    add_end_labels(lines, _end_labels(binned, vals), scale, width - MARGIN - window.columns // 2)
    ticks = axis_ticks(window, axis_unit(state))
    legend = _legend(state, binned, view, highest, width)
    axis_and_labels = _axis(state, window, ticks), draw_tick_labels(ticks, window)
    return add_frame(lines, layout, scale, legend, axis_and_labels)


def chance_loss(state: RunState) -> float:
    """Return the loss of a uniform guess; 0 if the number of classes is unknown."""
    return math.log(len(state.classes)) if state.classes else 0.0


def values_to_fit(
    binned: BinnedCurve, vals: list[tuple[float, float]], chance: float, *, log: bool
) -> list[float]:
    """Return the losses that the scale includes.

    It follows the means of training and the validation losses. A few that are far above the others
    and above the loss of a guess are left out, and so are unusual losses of single steps: one of
    100 at the start would flatten the run.
    """
    means = [point.value for point in binned.means()]
    means += [loss for _, loss in vals if is_drawable(loss) and not (log and loss <= 0)]
    if not means:
        return []
    low, high = min(means), max(means)
    if not log:
        high = usual_maximum(means, chance)
    margin = RANGE_MARGIN * ((math.log(high / low) if low > 0 else 1.0) if log else high - low)
    least = low * math.exp(-margin) if log else low - margin
    most = high * math.exp(margin) if log else high + margin
    lows = sorted(low for _, low, _ in binned.extremes() if not log or low > 0)
    highs = sorted(high for _, _, high in binned.extremes() if not log or high > 0)
    if lows and highs:  # the usual range is included: all but a twentieth at either end
        least = min(least, lows[int(0.05 * len(lows))])
        most = max(most, highs[int(0.95 * (len(highs) - 1))])
    return [low, high, *(min(max(loss, least), most) for loss in lows + highs)]


def _end_labels(binned: BinnedCurve, vals: list[tuple[float, float]]) -> list[EndLabel]:
    """Return the last values in view of training, which may be smoothed, and of validation."""
    return [
        EndLabel(point.column, point.value, short_number(point.value), style)
        for points, style in ((binned.means(), TRAIN), (points_in(binned.window, vals), VAL))
        for point in deque(points, maxlen=1)
    ]


def _curves(
    binned: BinnedCurve, vals: list[tuple[float, float]], scale: Scale, rows: int
) -> list[StyledCells]:
    width = binned.window.columns // 2
    train, val = DotGrid(width, rows), DotGrid(width, rows)
    train.curve(binned.means(), scale)
    val.curve(points_in(binned.window, vals), scale)
    return [merge([(train.cells(row), TRAIN), (val.cells(row), VAL)]) for row in range(rows)]


def draw_band(lines: list[StyledCells], binned: BinnedCurve, scale: Scale) -> None:
    """Shade the range of the single steps as a background, without gaps between points."""
    tops: dict[int, float] = {}
    bottoms: dict[int, float] = {}
    previous: tuple[int, int, int] | None = None
    for column, low, high in binned.extremes():
        top, bottom = scale.row(high), scale.row(low)
        start = previous or (column, top, bottom)
        if any(binned.has_gap[start[0] : column]):
            start = column, top, bottom
        for between in range(start[0], column + 1):
            part = (between - start[0]) / max(1, column - start[0])
            cell = between // 2
            tops[cell] = min(tops.get(cell, math.inf), start[1] + part * (top - start[1]))
            bottoms[cell] = max(bottoms.get(cell, 0.0), start[2] + part * (bottom - start[2]))
        previous = column, top, bottom
    for cell, highest in tops.items():
        # A cell is shaded if at least two of its four rows of dots are in the range.
        for row in range(round(highest + 2) // 4, (round(bottoms[cell]) - 1) // 4 + 1):
            char, style = lines[row][cell]
            lines[row][cell] = char, f"{style} {BAND}".lstrip()


def _mark_clipped(line: StyledCells, binned: BinnedCurve, scale: Scale) -> float | None:
    """Mark the cells of the top line with losses above the scale; return the highest, if any."""
    clipped = {column: high for column, _, high in binned.extremes() if high > scale.high}
    for column in clipped:
        mean = binned.mean(column)
        is_mean = mean is not None and mean > scale.high
        if is_mean or line[column // 2][0] in (" ", CLIPPED):
            line[column // 2] = (CLIPPED, TRAIN if is_mean else NOTE)
    return max(clipped.values(), default=None)


def draw_rings(
    lines: list[StyledCells],
    state: RunState,
    vals: list[tuple[float, float]],
    window: Window,
    scale: Scale,
) -> None:
    """Draw rings on the validation curve, for terminals without colours, and ★ on the best."""
    best = state.end_of(state.best) if state.best else None
    free_from = 0
    for step, loss in sorted(vals, key=lambda point: point[0] == best):
        cell = window.column(step) // 2
        if is_drawable(loss) and (step == best or cell >= free_from):
            line = lines[scale.row(loss) // 4]
            line[cell] = ("★" if step == best else "○", with_background(VAL, line[cell][1]))
            free_from = cell + CELLS_BETWEEN_RINGS


def _axis(state: RunState, window: Window, ticks: dict[int, str]) -> StyledCells:
    line = draw_axis(ticks, window)
    for marker in state.markers:
        # The best epoch is marked on its curve; earlier bests would crowd the axis.
        if marker.kind != "best" and window.first <= marker.step <= window.last:
            line[MARGIN + window.column(marker.step) // 2] = (MARKS[marker.kind], NOTE)
    return line


def _legend(
    state: RunState, binned: BinnedCurve, view: ChartView, highest: float | None, width: int
) -> StyledCells:
    if view.cursor is not None:
        return legend_line(_reading_parts(read_at(state, binned, view.cursor)), [], width)
    peak = f"{CLIPPED} up to {highest:.3g}  " if highest is not None else ""
    return legend_line([(peak, NOTE), (view_text(view), NOTE)], CURVES, width)


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
        (f"epoch {reading.epoch}  " if reading.epoch else "", "bold"),
        (f"train {decimal(reading.train)}  ", TRAIN),
        (f"val {decimal(reading.val)}  ", VAL),
        (f"step {reading.step:,}  ", NOTE),
        (band if reading.low <= reading.high else "", NOTE),
    ]
