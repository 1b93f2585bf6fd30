"""Training and validation loss as sparklines with their latest values."""

import math

from textual.content import Content

from cnn_engine.runlog.best_metric import VAL_MACRO_F1, BestMetric
from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.blocks import sparkline
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.numbers import decimal, percent

MIN_SPARKLINE, MAX_SPARKLINE = 12, 40
MIN_WIDTH_WITH_NOTES = 48


class Sparklines(Panel[RunState]):
    """Two lines: each loss over the recent epochs, its latest value, and a note."""

    DEFAULT_CSS = """
    Sparklines {
        height: 2;
        border: none;
        padding: 0 2;
    }
    """

    def depends_on(self, state: RunState) -> object:
        """Return the numbers of points, epochs and undos, and the learning rate."""
        return len(state.curve), len(state.epochs), state.undos, state.total_epochs, state.lr

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return the training loss above the validation loss."""
        has_notes = width >= MIN_WIDTH_WITH_NOTES
        fitting = width - (40 if has_notes else 14)
        room = max(0, min(MAX_SPARKLINE, max(MIN_SPARKLINE, state.total_epochs), fitting))
        epochs = state.epochs[-room:] if room else []
        train = [epoch.train_loss for epoch in epochs]
        if room and not train:  # before the end of the first epoch: the curve's own points
            train = list(state.curve.losses[-room:])
        newest = state.curve[-1].loss if state.curve else None
        validated = state.validated_epochs
        last = validated[-1] if validated else None
        lr = "" if state.lr is None or not has_notes else f"lr {state.lr:.3g}"
        results = _results(last, state.best_metric) if last is not None and has_notes else ""
        val = [epoch.val_loss for epoch in validated[-room:]] if room else []
        val_loss = last.val_loss if last else None
        return [
            _line("train", "$primary", sparkline(train, room).ljust(room), newest, lr),
            _line("val", "$secondary", sparkline(val, room).ljust(room), val_loss, results),
        ]


def _results(epoch: EpochFinished, metric: BestMetric) -> str:
    """Return accuracy or F1 of an epoch, and how much its validation loss is higher, if known."""
    gap = epoch.val_loss - epoch.train_loss
    parts = [] if math.isnan(epoch.val_accuracy) else [f"acc {percent(epoch.val_accuracy)}"]
    if metric is VAL_MACRO_F1:
        parts = [f"F1 {decimal(epoch.val_macro_f1, 3)}"]
    return "   ".join([*parts, f"gap {gap:+.4f}"] if math.isfinite(gap) else parts)


def _line(name: str, style: str, spark: str, value: float | None, note: str) -> Content:
    return Content.assemble(
        (f"{name:<6}", "$muted"),
        (spark, style),
        (f" {decimal(value):>7}", "bold"),
        (f"   {note}" if note else "", "$muted"),
    )
