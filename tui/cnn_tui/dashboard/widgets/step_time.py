"""Where the time of a training step goes."""

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import Panel, colored_bar
from cnn_tui.text.numbers import percent, ratio

PARTS = ("data", "forward", "backward", "optimizer")
NAME_WIDTH = max(map(len, PARTS))
LEAST_BAR = 3


class StepTime(Panel):
    """Shares of making batches, of both passes, and of changing the weights, of late."""

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Draw a line a part; what they leave is the last."""
        shares = _recent_shares(state) or state.part_fractions
        return [_line(name, share, width) for name, share in shares.items()]


def _recent_shares(state: RunState) -> dict[str, float]:
    """Return each part's share of the steps of late; empty if none was measured.

    On a GPU, where steps are replayed, one in some thousands is: other events tell nothing.
    """
    seconds = {
        name: sum(getattr(event, f"{name}_seconds") for event in state.recent) for name in PARTS
    }
    measured = [event for event in state.recent if event.forward_seconds or event.data_seconds]
    whole = sum(event.seconds for event in measured)
    seconds["other"] = max(0.0, whole - sum(seconds.values()))
    return {name: ratio(spent, whole) for name, spent in seconds.items()} if measured else {}


def _line(name: str, share: float, width: int) -> Content:
    head = f"{name:<{NAME_WIDTH}} {percent(share, 0):>4} "
    room = width - len(head)
    return Content(head) + colored_bar(share, room if room >= LEAST_BAR else 0)
