"""Accuracy of each class."""

from collections.abc import Sequence

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel, colored_bar
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.safe import safe_text

LONGEST_NAME = 12
LEAST_BAR, LONGEST_BAR = 4, 10
LEAST_WIDTH_WITH_CHANGE = 50
GAP = "  "


class ClassGrid(Panel, can_focus=True):
    """A bar and a figure for each class: of the last validation, at the end of the test."""

    def depends_on(self, state: RunState) -> object:
        """Validations so far, and the test."""
        return len(state.epochs), state.test is None, state.prepared is None

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """As many columns as fit, filled row by row."""
        title, correct, total = _counts(state)
        if title != self.border_title:  # setting it repaints, even to what it is
            self.border_title = title
        if state.prepared is None or not total:
            return []
        names = [safe_text(name, LONGEST_NAME) for name in state.prepared.classes]
        name_width = max(map(len, names))
        validated = state.validated_epochs
        before = validated[-2].correct if len(validated) > 1 and not state.test else correct
        is_wide = width >= LEAST_WIDTH_WITH_CHANGE
        change_width, least_bar = (4, LEAST_BAR) if is_wide else (0, 0)
        fixed = name_width + len(" 100% ") + change_width
        columns = max(1, (width + len(GAP)) // (fixed + least_bar + len(GAP)))
        bar_width = max(0, min(LONGEST_BAR, (width + len(GAP)) // columns - len(GAP) - fixed))

        def cell(index: int) -> Content:
            share = ratio(correct[index], total[index])
            change = share - ratio(before[index], total[index])
            name = f"{names[index]:<{name_width}} {percent(share, 0):>4} "
            return name + colored_bar(share, bar_width) + change_text(change, change_width)

        def line(y: int) -> Content:
            shown = range(y * columns, min((y + 1) * columns, len(names)))
            return Content(GAP).join(map(cell, shown))

        return LazyLines(-(-len(names) // columns), line)


def _counts(state: RunState) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    if state.test:
        return "Accuracy by class ─ test", state.test.correct, state.test.total
    if validated := state.validated_epochs:
        last = validated[-1]
        return "Accuracy by class ─ validation", last.correct, last.total
    return "Accuracy by class ─ validation", (), ()


def change_text(share: float, width: int) -> Content:
    """Change against the epoch before in percentage points, where it is one."""
    points = round(100 * share)
    return Content.styled((f"{points:+d}" if points else "").rjust(width)[:width], "$muted")
