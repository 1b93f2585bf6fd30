"""The loss chart as lines of styled cells: curves, marks, a cursor, and axes."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import NamedTuple

from cnn_engine.runlog.state import RunState
from cnn_tui.charts.axes import (
    AXIS,
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
from cnn_tui.charts.binning import BinnedCurve, Scale, Window, is_drawable
from cnn_tui.charts.braille import DotGrid, merge
from cnn_tui.text.numbers import decimal

CELLS_BETWEEN_RINGS = 4
MAX_ZOOM = 12
SMOOTHINGS = (("", 0.0), ("smooth", 0.8), ("smoother", 0.95))
MARKS = {
    "checkpoint": "■",
    "pause": "‖",
    "lr": "◆",
    "epochs": "±",
    "stop": "▾",
    "resume": "▶",
    "rollback": "←",
}
"""How what happened is marked on the axis; of several in one place the last one shows."""

BREAKS = frozenset({"lr", "pause", "resume", "rollback"})
"""What a line is drawn down for."""

TRAIN, VAL, BAND = "$primary", "$secondary", "$band"


@dataclass(frozen=True, kw_only=True)
class ChartView:
    """How the chart is looked at."""

    zoom: int = 0
    """How often the stretch that is shown is halved."""

    cursor: float | None = None
    """Step that is read; None to follow the newest."""

    log: bool = False
    """Whether the losses' scale is logarithmic."""

    smoothing: int = 0
    """Index into `SMOOTHINGS`."""


class Reading(NamedTuple):
    """What stands under the cursor."""

    step: int
    epoch: int
    train: float | None
    low: float
    high: float
    val: float | None


def visible_window(view: ChartView, newest: float, whole: float, columns: int) -> Window:
    """What is shown of `whole` steps: the newest, or the cursor with a quarter on either side.

    It moves in leaps of a half, so that a curve that grows does not crawl.
    """
    width = whole / 2**view.zoom
    if view.cursor is None:
        first = math.ceil(2 * newest / width) * width / 2 - width
    else:
        first = math.floor(2 * view.cursor / width) * width / 2 - width / 4
    first = min(max(first, 0.0), whole - width)
    return Window(first, first + width, columns)


def val_points(state: RunState) -> list[tuple[float, float]]:
    """Step and validation loss at the end of each epoch that was validated."""
    return [
        (epoch.epoch * state.steps_per_epoch, epoch.val_loss) for epoch in state.validated_epochs
    ]


def read_at(state: RunState, columns: BinnedCurve, cursor: float) -> Reading:
    """The figures at the cursor: of the point next to it, and of all points in its cell."""
    at, steps = state.curve.steps, state.steps_per_epoch
    step = at[min(bisect_left(at, cursor), len(at) - 1)]
    cell = min(max(columns.window.column(step), 0), columns.window.columns - 1) // 2
    both = (2 * cell, 2 * cell + 1)
    means = [mean for column in both if (mean := columns.mean(column)) is not None]
    done = [loss for end, loss in val_points(state) if end <= step]
    return Reading(
        step=step,
        epoch=math.ceil(step / steps),
        train=sum(means) / len(means) if means else None,
        low=min(columns.low[column] for column in both),
        high=max(columns.high[column] for column in both),
        val=done[-1] if done else None,
    )


def draw_loss_chart(
    state: RunState, columns: BinnedCurve, view: ChartView, width: int, height: int
) -> list[StyledCells] | None:
    """The whole chart; None while there is no loss to draw."""
    window = columns.window
    vals = [(at, loss) for at, loss in val_points(state) if window.first <= at <= window.last]
    has_legend = height >= MIN_HEIGHT_WITH_LEGEND or view.cursor is not None
    has_labels, has_axis = height >= MIN_HEIGHT_WITH_LABELS, height >= MIN_HEIGHT_WITH_AXIS
    rows = height - has_legend - has_labels - has_axis
    scale = fit_scale(losses_of(columns, vals), rows, log=view.log)
    if scale is None:
        return None
    lines = _curves(columns, vals, scale, width - MARGIN, rows)
    _mark_happenings(lines, state, window)
    if view.cursor is not None:
        draw_cursor(lines, window.column(view.cursor) // 2, beneath=BAND)
    _ring_epochs(lines, state, vals, window, scale)
    lines = add_scale(lines, scale)
    ticks = axis_ticks(window, state.steps_per_epoch)
    if has_axis:
        lines.append(_axis(state, window, ticks))
    if has_labels:
        lines.append(draw_tick_labels(ticks, window))
    if has_legend:
        lines.insert(0, _legend(state, columns, view, width))
    return lines


def losses_of(columns: BinnedCurve, vals: list[tuple[float, float]]) -> list[float]:
    """Every loss of the window."""
    values = [value for _, low, high in columns.extremes() for value in (low, high)]
    return values + [loss for _, loss in vals if is_drawable(loss)]


def _curves(
    columns: BinnedCurve, vals: list[tuple[float, float]], scale: Scale, width: int, rows: int
) -> list[StyledCells]:
    band, train, val = (DotGrid(width, rows) for _ in range(3))
    for column, low, high in columns.extremes():
        band.shade(column, scale.row(high), scale.row(low))
    before: tuple[int, int] | None = None
    for column, mean, joined in columns.means():
        there = column, scale.row(mean)
        train.line(*(before if before and joined else there), *there)
        before = there
    before = None
    for at, loss in vals:
        here = (columns.window.column(at), scale.row(loss)) if is_drawable(loss) else None
        if here:
            val.line(*(before or here), *here)
        before = here
    return [
        merge([(train.cells(row), TRAIN), (val.cells(row), VAL)], (band.cells(row), BAND))
        for row in range(rows)
    ]


def _ring_epochs(
    lines: list[StyledCells],
    state: RunState,
    vals: list[tuple[float, float]],
    window: Window,
    scale: Scale,
) -> None:
    """Rings on the validation curve, so that it is told apart without colours; ★ on the best."""
    best = state.best.epoch * state.steps_per_epoch if state.best else None
    free_from = 0
    for at, loss in sorted(vals, key=lambda point: point[0] == best):
        cell = window.column(at) // 2
        if is_drawable(loss) and (at == best or cell >= free_from):
            lines[scale.row(loss) // 4][cell] = ("★" if at == best else "○", VAL)
            free_from = cell + CELLS_BETWEEN_RINGS


def _mark_happenings(lines: list[StyledCells], state: RunState, window: Window) -> None:
    """A line down where training was changed, or broken off."""
    for marker in state.markers:
        if marker.kind in BREAKS and window.first <= marker.step <= window.last:
            cell = window.column(marker.step) // 2
            for line in lines:
                if line[cell][0] == " ":
                    line[cell] = ("┊", AXIS)


def _axis(state: RunState, window: Window, ticks: dict[int, str]) -> StyledCells:
    line = draw_axis(ticks, window)
    for marker in state.markers:
        # The best epoch is marked on its curve; all that once were it would crowd the axis.
        if marker.kind != "best" and window.first <= marker.step <= window.last:
            line[MARGIN + window.column(marker.step) // 2] = (MARKS[marker.kind], NOTE)
    return line


def _legend(state: RunState, columns: BinnedCurve, view: ChartView, width: int) -> StyledCells:
    if view.cursor is not None:
        return legend_line(_reading_parts(read_at(state, columns, view.cursor)), [], width)
    smoothing = SMOOTHINGS[view.smoothing][0]
    zoom = f"{2**view.zoom}× zoom" if view.zoom else ""
    modes = " · ".join(filter(None, [zoom, "log" if view.log else "", smoothing]))
    curves = [("━", TRAIN), (" train  ", NOTE), ("○", VAL), (" val ", NOTE)]
    return legend_line([(modes, NOTE)], curves, width)


def _reading_parts(reading: Reading) -> list[tuple[str, str]]:
    band = f"{decimal(reading.low, 2)}–{decimal(reading.high, 2)}"
    return [
        (f"epoch {reading.epoch}  ", "bold"),
        (f"train {decimal(reading.train)}  ", TRAIN),
        (f"val {decimal(reading.val)}  ", VAL),
        (f"step {reading.step:,}  ", NOTE),
        (band if reading.low <= reading.high else "", NOTE),
    ]
