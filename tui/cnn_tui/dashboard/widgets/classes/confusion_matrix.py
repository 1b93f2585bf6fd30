"""The confusion matrix."""

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content

from cnn_tui.dashboard.class_results import ClassResults, shorten_names
from cnn_tui.dashboard.widgets.classes.class_panel import ClassPanel, scroll_to_selected
from cnn_tui.text.metrics import NO_IMAGE
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.width import fold, pad

MAX_NAME = 12
MIN_CELL = 5

CORRECT_SHADES = (0.25, 0.5, 0.7, 0.9)
CONFUSED_SHADES = (0.03, 0.06, 0.12, 0.25)
"""Fractions of a class from which a cell of the diagonal, or another one, has the next shade."""


class MatrixCells(NamedTuple):
    """Look of all cells."""

    width: int
    in_percent: bool
    """True for percent of the true class, False for counts."""


class ConfusionMatrix(ClassPanel):
    """Images by true class (rows) and predicted class (columns); one cell is selected."""

    TITLE = "Confusion matrix ─ true ↓ predicted →"

    def __init__(self) -> None:
        super().__init__()
        self._left = 0
        """Position of the first column in view."""

    def result_lines(self, results: ClassResults, width: int, height: int) -> Sequence[Content]:
        """Return a heading, the rows around the selected cell, and a sentence about that cell."""
        order, _, selected_row, selected_column, in_percent = self.selection
        counts = _counts(results)
        names, name_width = shorten_names(results.names, min(MAX_NAME, max(4, width // 4)))
        room = (width - name_width) // len(names)
        cell = max(MIN_CELL, len(str(max(results.total))) + 1, min(name_width + 1, room))
        across = max(1, (width - name_width) // cell)
        down = max(1, height - 2)
        self._top = scroll_to_selected(self._top, selected_row, down, len(names))
        self._left = scroll_to_selected(self._left, selected_column, across, len(names))
        columns = range(self._left, min(self._left + across, len(names)))
        labels = [_beginning(names[order[column]], cell - 1) for column in columns]
        if len(set(labels)) < len(labels):  # some shortened names are equal: show numbers
            labels = [str(order[column] + 1) for column in columns]
        heading = [
            (pad(label, cell, "right"), _emphasis(column == selected_column))
            for label, column in zip(labels, columns, strict=True)
        ]
        lines = [Content.assemble(" " * name_width, *heading)]
        for row in range(self._top, min(self._top + down, len(names))):
            target = order[row]
            cells = [
                _cell(
                    counts.get((target, order[column]), 0),
                    results.total[target],
                    MatrixCells(cell, in_percent),
                    is_correct=row == column,
                    is_selected=(row, column) == (selected_row, selected_column),
                )
                for column in columns
            ]
            name = (pad(names[target], name_width), _emphasis(row == selected_row))
            lines.append(Content.assemble(name, *cells))
        return [*lines, _sentence(results, counts, order[selected_row], order[selected_column])]


def _counts(results: ClassResults) -> dict[tuple[int, int], int]:
    """Return the images of each cell by true and predicted class; empty cells are left out."""
    counts = {(target, predicted): images for target, predicted, images in results.confusion}
    return counts | {(index, index): images for index, images in enumerate(results.correct)}


def _sentence(
    results: ClassResults, counts: dict[tuple[int, int], int], target: int, predicted: int
) -> Content:
    names, _ = shorten_names((results.names[target], results.names[predicted]), 20)
    images, total = counts.get((target, predicted), 0), results.total[target]
    text = f"{images:,} of {total:,}, {percent(images / total)}" if total else NO_IMAGE
    if target == predicted:
        return Content.assemble((names[0], "bold"), f" predicted correctly: {text}")
    return Content.assemble((names[0], "bold"), " predicted as ", (names[1], "bold"), f": {text}")


def _beginning(name: str, width: int) -> str:
    """Return as much of a name as fits, without an ellipsis, which would take a cell of few."""
    return fold(name, width)[0]


def _emphasis(is_selected: bool) -> str:
    return "bold $foreground" if is_selected else "$muted"


def _cell(
    images: int, total: int, cells: MatrixCells, *, is_correct: bool, is_selected: bool
) -> tuple[str, str]:
    """Return the text of a cell and its style, whose background is the fraction of the class."""
    fraction = ratio(images, total)
    number = f"{100 * fraction:.0f}" if cells.in_percent else str(images)
    text = f"{number if images else '·':>{cells.width}}"
    if is_selected:
        return text, "$primary reverse"
    level = shade(fraction, CORRECT_SHADES if is_correct else CONFUSED_SHADES)
    if level:
        kind = "correct" if is_correct else "confused"
        return text, f"$foreground on ${kind}-{level}"
    return text, "$muted" if images else "$faint"


def shade(fraction: float, thresholds: Sequence[float]) -> int:
    """Return the number of thresholds that a fraction reaches."""
    return sum(fraction >= threshold for threshold in thresholds)
