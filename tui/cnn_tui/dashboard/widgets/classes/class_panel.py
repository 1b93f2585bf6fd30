"""The base of the panels of the Classes view: an order of the classes, a selected cell."""

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content
from textual.reactive import reactive

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.class_results import ClassResults, latest_results
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.text.other_loops import missing_text
from cnn_tui.text.width import wrap


class ClassSelection(NamedTuple):
    """The order of the classes, and the selected cell of the confusion matrix."""

    order: tuple[int, ...] = ()
    """Indices of the classes, from first to last."""

    order_name: str = ""

    row: int = 0
    """Position of the true class in the order."""

    column: int = 0
    """Position of the predicted class in the order."""

    in_percent: bool = False
    """True to show percent of the true class in the matrix, False for counts."""


class ClassPanel(Panel[RunState]):
    """Shows the latest results, in the order and around the selection of its view."""

    selection: reactive[ClassSelection] = reactive(ClassSelection(), repaint=False)

    def __init__(self) -> None:
        super().__init__()
        self._top = 0
        """Position of the first class in view."""

    def watch_selection(self) -> None:
        """Draw the new order and selection."""
        self._redraw()

    def depends_on(self, state: RunState) -> object:
        """Return the number of epochs, and the parts of the state that are missing."""
        return len(state.epochs), state.test is None, state.classes

    def titles(self, state: RunState) -> tuple[str, str]:
        """Return the titles of the results, once there are any."""
        results = self._results(state)
        return (self.TITLE, "") if results is None else self.result_titles(results)

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:
        """Return the lines of the results, once there are any."""
        results = self._results(state)
        if results is None:
            return [Content.styled(line, "$muted") for line in wrap(_why_empty(state), width)]
        return self.result_lines(results, width, height)

    def _results(self, state: RunState) -> ClassResults | None:
        results = latest_results(state)
        is_ordered = results is not None and len(self.selection.order) == len(results.names)
        return results if is_ordered else None

    def result_titles(self, results: ClassResults) -> tuple[str, str]:  # noqa: ARG002
        """Return the title and the subtitle for results."""
        return self.TITLE, ""

    def result_lines(self, results: ClassResults, width: int, height: int) -> Sequence[Content]:
        """Return the lines for results."""
        raise NotImplementedError


def _why_empty(state: RunState) -> str:
    """Return the reason why there are no results by class."""
    if state.is_own or (state.loop and state.classes and not state.validated_epochs):
        return "no validation yet"
    hint = "; run.validated(truth, predicted) in its script logs them" if state.loop else ""
    return missing_text(state, "results by class") + hint


def scroll_to_selected(first: int, selected: int, room: int, count: int) -> int:
    """Return the first position in view, moved only as far as needed to show the selected one.

    Args:
        first: The first position in view so far.
        selected: The position that must be in view.
        room: Number of positions that fit.
        count: Number of all positions.
    """
    first = min(max(first, selected - room + 1), selected)
    return max(0, min(first, count - room))
