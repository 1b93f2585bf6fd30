"""Accuracy of each class."""

from textual.content import Content

from cnn_engine.state import RunState
from cnn_tui.format import percent, ratio, safe_text
from cnn_tui.widgets.panel import Panel, colored_bar

LONGEST_NAME = 12
LEAST_BAR, LONGEST_BAR = 4, 10
LEAST_WIDTH_WITH_CHANGE = 50
GAP = "  "


class ClassGrid(Panel, can_focus=True):
    """A bar and a figure for each class: of the last validation, at the end of the test."""

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """As many columns as fit, filled row by row."""
        title, correct, total = _counts(state)
        if title != self.border_title:  # setting it repaints, even to what it is
            self.border_title = title
        if state.prepared is None or not total:
            return []
        names = [safe_text(name, LONGEST_NAME) for name in state.prepared.classes]
        name_width = max(map(len, names))
        before = state.epochs[-2].correct if len(state.epochs) > 1 and not state.test else correct
        change_width = 4 if width >= LEAST_WIDTH_WITH_CHANGE else 0
        fixed = name_width + len(" 100% ") + change_width
        columns = max(1, (width + len(GAP)) // (fixed + LEAST_BAR + len(GAP)))
        bar_width = min(LONGEST_BAR, (width + len(GAP)) // columns - len(GAP) - fixed)
        cells = [
            _cell(f"{name:<{name_width}}", bar_width, ratio(right, all_))
            + _change(ratio(right, all_) - ratio(was_right, all_), change_width)
            for name, right, was_right, all_ in zip(names, correct, before, total, strict=True)
        ]
        return [
            Content(GAP).join(cells[first : first + columns])
            for first in range(0, len(cells), columns)
        ]


def _counts(state: RunState) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    if state.test:
        title = f"Accuracy by class ─ test {percent(state.test.accuracy, 2)}"
        return title, state.test.correct, state.test.total
    if state.epochs:
        last = state.epochs[-1]
        title = f"Accuracy by class ─ val {percent(last.val_accuracy)}"
        return title, last.correct, last.total
    return "Accuracy by class", (), ()


def _cell(name: str, bar_width: int, share: float) -> Content:
    return Content.assemble(f"{name} {percent(share, 0):>4} ", colored_bar(share, bar_width))


def _change(share: float, width: int) -> Content:
    """Change against the epoch before in percentage points, where it is one."""
    points = round(100 * share)
    return Content.styled((f"{points:+d}" if points else "").rjust(width)[:width], "$muted")
