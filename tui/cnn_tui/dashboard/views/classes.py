"""2: how well the classes are told apart."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.class_results import ORDERS, latest_results, sorted_indices
from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.classes.class_panel import ClassPanel
from cnn_tui.dashboard.widgets.classes.class_table import ClassTable
from cnn_tui.dashboard.widgets.classes.confused_pairs import ConfusedPairs
from cnn_tui.dashboard.widgets.classes.confusion_matrix import ConfusionMatrix
from cnn_tui.dashboard.widgets.classes.test_metrics import TestMetrics

FRAME_AND_TEXTS = 4
"""Lines of the matrix that are no class's: its border, its heading, its sentence."""


class ClassesView(View):
    """The classes' figures beside the confusion matrix, which share an order and a selection."""

    BINDINGS = bindings_for("classes")

    class Chosen(Message):
        """The mistakes of a pair of classes are to be shown."""

        def __init__(self, truth: int, predicted: int) -> None:
            super().__init__()
            self.truth, self.predicted = truth, predicted

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._state: RunState | None = None
        self._order = 0
        self._row = self._column = 0

    def compose(self) -> ComposeResult:
        """The panels."""
        yield ClassTable()
        with Vertical(id="confusion"):
            yield ConfusionMatrix()
            yield ConfusedPairs()
        yield TestMetrics()

    def show(self, state: RunState) -> None:
        """Show the last results."""
        self._state = state
        self._select()
        super().show(state)

    def _select(self) -> None:
        results = latest_results(self._state) if self._state else None
        name = ORDERS[self._order]
        order = sorted_indices(results, name) if results else []
        last = max(0, len(order) - 1)
        self._row, self._column = min(self._row, last), min(self._column, last)
        for panel in self.query(ClassPanel):
            panel.select(order, name, self._row, self._column)
        # A small matrix leaves its place to the pairs.
        self.query_one(ConfusionMatrix).styles.max_height = len(order) + FRAME_AND_TEXTS

    def _redraw(self) -> None:
        self._select()
        for panel in self.query(ClassPanel):
            panel.redraw()

    def action_move(self, rows: int, columns: int) -> None:
        """Select another cell."""
        self._row, self._column = max(0, self._row + rows), max(0, self._column + columns)
        self._redraw()

    def action_page(self, pages: int) -> None:
        """Select a cell a page away."""
        self.action_move(pages * max(1, self.size.height - 4), 0)

    def action_mistakes(self) -> None:
        """Ask for the mistakes of the selected cell."""
        results = latest_results(self._state) if self._state else None
        if results is not None:
            order = sorted_indices(results, ORDERS[self._order])
            self.post_message(self.Chosen(order[self._row], order[self._column]))

    def action_order(self) -> None:
        """Change the order, and select its first class."""
        self._order = (self._order + 1) % len(ORDERS)
        self._row = self._column = 0
        self._redraw()

    def action_matrix(self) -> None:
        """Give the matrix the whole place, or share it again."""
        self.remove_class("-figures")
        self.toggle_class("-matrix")

    def action_figures(self) -> None:
        """Show the figures of the test in the matrix's place, or the matrix again."""
        self.remove_class("-matrix")
        self.toggle_class("-figures")

    def on_mouse_scroll_down(self) -> None:
        """Three classes on."""
        self.action_move(3, 0)

    def on_mouse_scroll_up(self) -> None:
        """Three classes back."""
        self.action_move(-3, 0)
