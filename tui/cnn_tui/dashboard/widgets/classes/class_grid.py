"""Accuracy of each class, as a grid of bars."""

import math
from collections.abc import Sequence

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel, colored_bar
from cnn_tui.text.metrics import NO_IMAGE
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import pad, widest

MAX_NAME = 12
MIN_BAR, MAX_BAR = 4, 10
MIN_WIDTH_WITH_CHANGE = 50
GAP = "  "


class ClassGrid(Panel[RunState], can_focus=True):
    """A bar and the accuracy of each class: of the last validation, or of the test."""

    TITLE = "Accuracy by class"

    def depends_on(self, state: RunState) -> object:
        """Return the number of epochs, and the parts of the state that are missing."""
        return len(state.epochs), state.test is None, state.classes

    def titles(self, state: RunState) -> tuple[str, str]:
        """Return the title with the name of the split."""
        return f"{self.TITLE} ─ {'test' if state.test else 'validation'}", ""

    def draw(self, state: RunState, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """Return as many columns as fit, filled row by row."""
        counts = state.latest_counts
        if counts is None or not counts.total:
            return []
        correct, total = counts.correct, counts.total
        names = [safe_text(name, MAX_NAME) for name in state.classes[: len(total)]]
        name_width = widest(names)
        validated = state.validated_epochs
        previous = validated[-2].correct if len(validated) > 1 and not state.test else correct
        is_wide = width >= MIN_WIDTH_WITH_CHANGE
        change_width, min_bar = (4, MIN_BAR) if is_wide else (0, 0)
        fixed = name_width + len(" 100% ") + change_width
        columns = max(1, (width + len(GAP)) // (fixed + min_bar + len(GAP)))
        bar_width = max(0, min(MAX_BAR, (width + len(GAP)) // columns - len(GAP) - fixed))

        def cell(index: int) -> Content:
            accuracy = ratio(correct[index], total[index], math.nan)
            change = ratio(correct[index] - previous[index], total[index])
            name = f"{pad(names[index], name_width)} {percent(accuracy, 0):>4} "
            return name + accuracy_bar(accuracy, bar_width) + change_text(change, change_width)

        def line(y: int) -> Content:
            indices = range(y * columns, min((y + 1) * columns, len(names)))
            return Content(GAP).join(map(cell, indices))

        return LazyLines(-(-len(names) // columns), line)


def accuracy_bar(accuracy: float, width: int) -> Content:
    """Return the bar of an accuracy; a text if it is NaN, because the class has no images."""
    if math.isnan(accuracy):
        text = NO_IMAGE if width >= len(NO_IMAGE) else ""
        return Content.styled(text.ljust(width), "$muted")
    return colored_bar(accuracy, width)


def change_text(change: float, width: int) -> Content:
    """Return a change of accuracy in percentage points; blank for 0."""
    points = round(100 * change)
    return Content.styled((f"{points:+d}" if points else "").rjust(width)[:width], "$muted")
