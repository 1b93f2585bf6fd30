"""What the panels of the Classes view have in common: an order of the classes, a selected cell."""

from collections.abc import Sequence
from typing import ClassVar

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.class_results import ClassResults, latest_results
from cnn_tui.dashboard.widgets.panel import Panel


class ClassPanel(Panel):
    """Shows the last results, in an order and around a selection that its view sets."""

    TITLE: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.order: list[int] = []
        """Indices of the classes, as they are to be shown."""
        self.order_name = ""
        """What the order is called."""
        self.row = 0
        """Place of the selected class in the order."""
        self.column = 0
        """Place of the class that it is compared with."""
        self.top = 0
        """Place of the first class in view."""

    def on_mount(self) -> None:
        """Name the panel."""
        self.retitle(self.TITLE)

    def depends_on(self, state: RunState) -> object:
        """Validations so far, and the test."""
        return len(state.epochs), state.test is None, state.prepared is None

    def select(self, order: list[int], name: str, row: int, column: int) -> None:
        """Set the order and the selection; to be drawn with the next `show` or `redraw`."""
        self.order, self.order_name, self.row, self.column = order, name, row, column

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """The results, once there are any."""
        results = latest_results(state)
        if results is None or len(self.order) != len(results.names):
            return [Content.styled("after the first validation", "$muted")]
        return self.draw_results(results, width, height)

    def draw_results(self, results: ClassResults, width: int, height: int) -> Sequence[Content]:
        """The lines of the results."""
        raise NotImplementedError


def first_in_view(first: int, selected: int, room: int, count: int) -> int:
    """The first of those in view, moved no further than to have the selected one among them."""
    first = min(max(first, selected - room + 1), selected)
    return max(0, min(first, count - room))
