"""Train and validation loss as two small lines with their latest values."""

from textual.content import Content

from cnn_engine.state import RunState
from cnn_tui.format import figure, sparkline
from cnn_tui.widgets.panel import Panel

SPARK_WIDTH = 30
LEAST_WIDTH_WITH_NOTES = 50


class Sparklines(Panel):
    """Two lines: the recent course of each loss, its value, and what goes with it."""

    DEFAULT_CSS = """
    Sparklines {
        height: 2;
        padding: 0 2;
    }
    """

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Train above validation."""
        notes = width >= LEAST_WIDTH_WITH_NOTES
        room = max(0, min(SPARK_WIDTH, width - (32 if notes else 14)))
        train = [point.loss for point in state.curve]
        val = [epoch.val_loss for epoch in state.epochs]
        gap = state.epochs[-1].val_loss - state.epochs[-1].train_loss if state.epochs else None
        lr = "" if state.lr is None or not notes else f"lr {state.lr:.1e}"
        gap_note = "" if gap is None or not notes else f"gap {gap:+.4f}"
        return [
            _line("train", "$primary", train, room, lr),
            _line("val", "$secondary", val, room, gap_note),
        ]


def _line(name: str, style: str, values: list[float], room: int, note: str) -> Content:
    latest = figure(values[-1]) if values else "–"
    return Content.assemble(
        (f"{name:<6}", "$muted"),
        (f"{sparkline(values, room):<{room}}", style),
        (f" {latest:>7}", "bold"),
        (f"   {note}" if note else "", "$muted"),
    )
