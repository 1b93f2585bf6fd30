"""View 2: accuracy by class, confusion matrix and test metrics."""

from dataclasses import dataclass

from textual import getters
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import reactive

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.class_results import ORDERS, latest_results, sorted_indices
from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.classes.class_details import ClassDetails
from cnn_tui.dashboard.widgets.classes.class_panel import ClassPanel, ClassSelection
from cnn_tui.dashboard.widgets.classes.class_table import ClassTable
from cnn_tui.dashboard.widgets.classes.confused_pairs import ConfusedPairs
from cnn_tui.dashboard.widgets.classes.confusion_matrix import ConfusionMatrix
from cnn_tui.dashboard.widgets.classes.test_metrics import TestMetrics

MATRIX_LINES = 4
"""Lines of the matrix besides the classes: two of the frame, the heading and the sentence."""

TABLE_LINES = 3
"""Lines of the table besides the classes: two of the frame, and the heading."""

WHEEL_ROWS = 3


class ClassesView(View):
    """The class table beside the confusion matrix, with one order and selection for both."""

    BINDINGS = bindings_for("classes")
    matrix = getters.query_one(ConfusionMatrix)
    table = getters.query_one(ClassTable)

    @dataclass
    class PairSelected(Message):
        """Request to show the mistakes of a cell of the matrix."""

        is_test: bool
        """True if the matrix is of the test, False if it is of a validation."""

        target: int
        """Index of the true class."""

        predicted: int
        """Index of the predicted class."""

    selection: reactive[ClassSelection] = reactive(ClassSelection(), repaint=False)

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._state: RunState | None = None
        self._order = 0

    def compose(self) -> ComposeResult:
        """Yield the panels."""
        with Vertical(id="by-class"):
            yield ClassTable()
            yield ClassDetails()
        with Vertical(id="confusion"):
            yield ConfusionMatrix()
            yield ConfusedPairs()
        yield TestMetrics()

    def watch_selection(self, selection: ClassSelection) -> None:
        """Pass the order and the selection to the panels."""
        for panel in self.query(ClassPanel):
            panel.selection = selection
        # The panels below get the height that a matrix and a table of few classes do not need.
        count = len(selection.order)
        self.matrix.styles.max_height = count + MATRIX_LINES if count else None
        self.table.styles.max_height = count + TABLE_LINES if count else None

    def show(self, state: RunState) -> None:
        """Show the latest results."""
        self._state = state
        self._select(self.selection.row, self.selection.column)
        super().show(state)

    def _select(self, row: int, column: int) -> None:
        """Select a cell, or the nearest one, in the order of the latest results."""
        results = latest_results(self._state) if self._state else None
        name = ORDERS[self._order]
        order = tuple(sorted_indices(results, name)) if results else ()
        last = max(0, len(order) - 1)
        row, column = (max(0, min(position, last)) for position in (row, column))
        self.selection = ClassSelection(order, name, row, column, self.selection.in_percent)

    def action_move(self, rows: int, columns: int) -> None:
        """Select another cell."""
        self._select(self.selection.row + rows, self.selection.column + columns)

    def action_page(self, pages: int) -> None:
        """Select a cell some pages away."""
        self.action_move(pages * max(1, self.size.height - 4), 0)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Return None for `open_mistakes` before there are results."""
        return None if action == "open_mistakes" and not self.selection.order else True

    def action_open_mistakes(self) -> None:
        """Ask the screen for the mistakes of the selected cell."""
        selection, order = self.selection, self.selection.order
        results = latest_results(self._state) if self._state else None
        if order and results:
            target, predicted = order[selection.row], order[selection.column]
            self.post_message(self.PairSelected(results.is_final, target, predicted))

    def action_cycle_order(self) -> None:
        """Switch to the next order, and select its first class."""
        self._order = (self._order + 1) % len(ORDERS)
        self._select(0, 0)

    def action_toggle_percent(self) -> None:
        """Show percent of the true class in the matrix, or counts again."""
        self.selection = self.selection._replace(in_percent=not self.selection.in_percent)

    def action_toggle_matrix(self) -> None:
        """Show the matrix alone, or the class table again."""
        self.remove_class("-metrics")
        self.toggle_class("-matrix")

    def action_toggle_metrics(self) -> None:
        """Show the test metrics in place of the matrix, or the matrix again."""
        self.remove_class("-matrix")
        self.toggle_class("-metrics")

    def on_mouse_scroll_down(self) -> None:
        """Select a class further down."""
        self.action_move(WHEEL_ROWS, 0)

    def on_mouse_scroll_up(self) -> None:
        """Select a class further up."""
        self.action_move(-WHEEL_ROWS, 0)
