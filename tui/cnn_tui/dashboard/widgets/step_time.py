"""The parts of a training step, and the fraction of time of each."""

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel, labeled_bar
from cnn_tui.text.numbers import percent, ratio

PARTS = ("data", "forward", "backward", "exchange", "optimizer")
NAME_WIDTH = max(map(len, PARTS))
MIN_BAR = 3


class StepTime(Panel[RunState]):
    """Fractions of the recent steps' time: loading, forward, backward, optimizer, other.

    The exchange with other processes is one of them if there are several.
    """

    DEFAULT_CSS = """
    StepTime {
        border: none;
        padding: 0;
    }
    """

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return a line for each part."""
        fractions = _recent_fractions(state) or state.part_fractions
        return [_line(name, fraction, width) for name, fraction in fractions.items()]


def _recent_fractions(state: RunState) -> dict[str, float]:
    """Return each part's fraction of the recent steps; empty if none was measured.

    With a CUDA graph, only one step in some thousands is measured; the others are left out.
    """
    seconds = {
        name: sum(getattr(event, f"{name}_seconds") for event in state.recent) for name in PARTS
    }
    measured = [event for event in state.recent if event.forward_seconds or event.data_seconds]
    total = sum(event.seconds for event in measured)
    seconds["other"] = max(0.0, total - sum(seconds.values()))
    if not seconds["exchange"]:  # one process
        del seconds["exchange"]
    if not seconds["forward"]:  # another program's loop, of which only the time for data is known
        seconds = {name: seconds[name] for name in ("data", "other")}
    return {name: ratio(spent, total) for name, spent in seconds.items()} if measured else {}


def _line(name: str, fraction: float, width: int) -> Content:
    label = f"{name:<{NAME_WIDTH}} {percent(fraction, 0):>4} "
    return labeled_bar(label, fraction, width, MIN_BAR)
