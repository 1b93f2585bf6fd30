"""Where the time of a training step goes."""

from textual.content import Content

from cnn_engine.state import RunState
from cnn_tui.format import percent, ratio
from cnn_tui.widgets.panel import Panel, colored_bar

PARTS = ("data", "forward", "backward", "optimizer")
NAME_WIDTH = max(map(len, PARTS))
LEAST_BAR = 3


class StepTime(Panel):
    """Shares of making batches, of both passes, and of changing the weights, of late."""

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """A line a part; what they leave is the last."""
        whole = sum(event.seconds for event in state.recent)
        parts = {
            name: sum(getattr(event, f"{name}_seconds") for event in state.recent) for name in PARTS
        }
        if not sum(parts.values()):
            return []
        parts["other"] = max(0.0, whole - sum(parts.values()))
        return [_line(name, ratio(seconds, whole), width) for name, seconds in parts.items()]


def _line(name: str, share: float, width: int) -> Content:
    head = f"{name:<{NAME_WIDTH}} {percent(share, 0):>4} "
    room = width - len(head)
    return Content(head) + colored_bar(share, room if room >= LEAST_BAR else 0)
