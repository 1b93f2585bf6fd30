"""Curves as SVG, with the dashboard's binning and scales at a higher resolution."""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from cnn_engine.runlog.best_metric import VAL_ACCURACY, VAL_LOSS
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.binning import BinnedCurve, Scale, Window, is_drawable, linear_scale, round_step
from cnn_tui.charts.loss import (
    CLIPPED,
    axis_name,
    axis_unit,
    chance_loss,
    val_points,
    values_to_fit,
)
from cnn_tui.text.numbers import decimal, percent, significant
from cnn_tui.text.safe import safe_text

COLUMNS, ROWS = 1440, 560
"""Size of the plot area, in SVG units."""

LEFT, TOP, RIGHT, BOTTOM = 130, 36, 36, 72
"""Margins around the plot area, in SVG units."""


def loss_svg(state: RunState) -> str:
    """Return the loss chart: training mean and range, validation, best; empty without a loss."""
    vals = val_points(state)
    last = max(state.curve.steps[-1] if state.curve else 0, *(step for step, _ in vals), 0)
    if not last:
        return ""
    columns = BinnedCurve(Window(0.0, float(last), COLUMNS))
    columns.extend(state.curve)
    losses = values_to_fit(columns, vals, chance_loss(state), log=False)
    if not losses:
        return ""
    scale = linear_scale(min(losses), max(losses), ROWS, 6)
    window = columns.window
    parts = [
        *_axes(scale, window, axis_unit(state), "{:g}".format),
        *(f'<polygon points="{points}"/>' for points in _range_polygons(columns, scale)),
        f'<path class="train" d="{_mean_path(columns, scale)}"/>',
        *_epoch_line(vals, window, scale, "val"),
    ]
    highest = max((high for _, _, high in columns.extremes()), default=scale.low)
    if highest > scale.high:
        parts.append(f'<text x="{LEFT + 4}" y="{TOP + 10}">{CLIPPED} up to {highest:.3g}</text>')
    if state.best:
        parts.append(_star(window, scale, state.end_of(state.best), state.best.val_loss))
    return _svg("loss", f"Loss by {axis_name(state)}", _describe_loss(state), parts)


def accuracy_svg(state: RunState) -> str:
    """Return the accuracy after each epoch, training and validation; empty without epochs."""
    train = [(state.end_of(epoch), epoch.train_accuracy) for epoch in state.epochs]
    val = [(state.end_of(epoch), epoch.val_accuracy) for epoch in state.epochs]
    accuracies = [accuracy for _, accuracy in (*train, *val) if is_drawable(accuracy)]
    if not accuracies:
        return ""
    scale = linear_scale(min(accuracies), max(accuracies), ROWS, 6)
    window = Window(0.0, float(train[-1][0]), COLUMNS)
    parts = [
        *_axes(scale, window, axis_unit(state), lambda value: f"{100 * value:g}%"),
        *_epoch_line(train, window, scale, "train"),
        *_epoch_line(val, window, scale, "val"),
    ]
    if state.best and state.best_metric is VAL_ACCURACY:
        parts.append(_star(window, scale, state.end_of(state.best), state.best.val_accuracy))
    return _svg(
        "accuracy", f"Accuracy by {axis_name(state)}", _describe_accuracy(state.epochs), parts
    )


def series_svg(state: RunState, name: str) -> str:
    """Return the chart of a series by step: mean and range; empty without a value to draw."""
    curve = state.series[name].curve
    if not curve or curve.steps[-1] <= 0:
        return ""
    columns = BinnedCurve(Window(0.0, float(curve.steps[-1]), COLUMNS))
    columns.extend(curve)
    values = [value for _, low, high in columns.extremes() for value in (low, high)]
    if not values:
        return ""
    scale = linear_scale(min(values), max(values), ROWS, 6)
    parts = [
        *_axes(scale, columns.window, axis_unit(state), "{:g}".format),
        *(f'<polygon points="{points}"/>' for points in _range_polygons(columns, scale)),
        f'<path class="train" d="{_mean_path(columns, scale)}"/>',
    ]
    last = f"{len(curve)} values; the last is {significant(state.series[name].last)}."
    id_ = f"series-{list(state.series).index(name)}"
    return _svg(id_, f"{safe_text(name, 200)} by {axis_name(state)}", last, parts)


def _svg(name: str, title: str, description: str, parts: Sequence[str]) -> str:
    size = f"0 0 {LEFT + COLUMNS + RIGHT} {TOP + ROWS + BOTTOM}"
    return (
        f'<svg viewBox="{size}" role="img" aria-labelledby="{name}-title {name}-words">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-words">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def _describe_loss(state: RunState) -> str:
    """Return the curve in words, for screen readers."""
    if not state.epochs:
        return (
            f"Training loss over {len(state.curve)} points; the last is {state.curve[-1].loss:.4f}."
        )
    first, last = state.epochs[0], state.epochs[-1]
    text = (
        f"Over {len(state.epochs)} epochs the training loss went from {decimal(first.train_loss)} "
        f"to {decimal(last.train_loss)}, the validation loss from {decimal(first.val_loss)} to "
        f"{decimal(last.val_loss)}"
    )
    if state.best and state.best_metric is VAL_LOSS:
        text += f"; the lowest was {decimal(state.best.val_loss)} in epoch {state.best.epoch}"
    elif state.best:
        text += f"; the best epoch was {state.best.epoch}, by {state.best_metric.name}"
    return f"{text}."


def _describe_accuracy(epochs: Sequence[EpochFinished]) -> str:
    first, last = epochs[0], epochs[-1]
    return (
        f"Over {len(epochs)} epochs the validation accuracy went from "
        f"{percent(first.val_accuracy)} to {percent(last.val_accuracy)}, the training accuracy "
        f"from {percent(first.train_accuracy)} to {percent(last.train_accuracy)}."
    )


def _point(window: Window, scale: Scale, step: float, value: float) -> tuple[int, int]:
    return LEFT + window.column(step), TOP + scale.row(value)


def _star(window: Window, scale: Scale, step: float, value: float) -> str:
    """Return the mark of the best epoch."""
    x, y = _point(window, scale, step, value)
    return f'<text class="best" x="{x}" y="{y + 12}">★</text>'


def _range_polygons(columns: BinnedCurve, scale: Scale) -> list[str]:
    """Return the points of one polygon per unbroken stretch, from maximum to minimum loss."""
    outlines, tops, bottoms = list[str](), list[str](), list[str]()
    starts = {column for column, _, joined in columns.means() if not joined}
    for column, low, high in columns.extremes():
        if column in starts and tops:
            outlines.append(" ".join([*tops, *reversed(bottoms)]))
            tops, bottoms = [], []
        tops.append(f"{LEFT + column},{TOP + scale.row(high)}")
        bottoms.append(f"{LEFT + column},{TOP + scale.row(low) + 1}")
    return [*outlines, " ".join([*tops, *reversed(bottoms)])] if tops else outlines


def _mean_path(columns: BinnedCurve, scale: Scale) -> str:
    return "".join(
        f"{'L' if joined else 'M'}{LEFT + column} {TOP + scale.row(mean)}"
        for column, mean, joined in columns.means()
    )


def _epoch_line(
    points: Sequence[tuple[float, float]], window: Window, scale: Scale, name: str
) -> list[str]:
    """Return a line through the values, with gaps at NaN and infinity, and up to 60 markers."""
    path, rings, is_joined = "", list[str](), False
    for step, value in points:
        if is_drawable(value):
            x, y = _point(window, scale, step, value)
            path += f"{'L' if is_joined else 'M'}{x} {y}"
            rings.append(f'<circle class="{name}" cx="{x}" cy="{y}" r="6"/>')
        is_joined = is_drawable(value)
    return [f'<path class="{name}" d="{path}"/>', *(rings if len(points) <= 60 else [])]


def _axes(
    scale: Scale, window: Window, steps: int, to_text: Callable[[float], str]
) -> Iterator[str]:
    """Yield grid lines at round values and ticks at round epochs, both labelled."""
    bottom = TOP + ROWS
    for tick in scale.ticks:
        y = TOP + scale.row(tick)
        yield f'<path class="grid" d="M{LEFT} {y}H{LEFT + COLUMNS}"/>'
        yield f'<text class="label" x="{LEFT - 12}" y="{y + 9}">{to_text(tick)}</text>'
    yield f'<path class="axis" d="M{LEFT} {bottom}H{LEFT + COLUMNS}"/>'
    epochs = window.last / steps
    step = max(1.0, round_step(epochs / 12))
    for number in range(math.floor(epochs / step + 1e-9) + 1):
        x = LEFT + window.column(min(number * step * steps, window.last))
        yield f'<path class="axis" d="M{x} {bottom}v8"/>'
        yield f'<text class="tick" x="{x}" y="{bottom + 38}">{number * step:g}</text>'
