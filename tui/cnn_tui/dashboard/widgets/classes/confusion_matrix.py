"""What is taken for what."""

from collections.abc import Sequence

from textual.content import Content

from cnn_tui.dashboard.class_results import ClassResults, shorten_names
from cnn_tui.dashboard.widgets.classes.class_panel import ClassPanel, first_in_view
from cnn_tui.text.numbers import percent, ratio

LONGEST_NAME = 12
LEAST_CELL = 5


class ConfusionMatrix(ClassPanel):
    """Images by true class (down) and by what they were called (across); one cell is selected."""

    TITLE = "Confusion ─ true class ↓ called →"

    def __init__(self) -> None:
        super().__init__()
        self._left = 0

    def draw_results(self, results: ClassResults, width: int, height: int) -> Sequence[Content]:
        """The columns' names, the rows around the selected cell, and what that cell says."""
        counts = {(truth, called): images for truth, called, images in results.confusion}
        counts |= {(index, index): images for index, images in enumerate(results.correct)}
        names, name_width = shorten_names(results.names, min(LONGEST_NAME, max(4, width // 4)))
        cell = max(LEAST_CELL, len(str(max(results.total))) + 1)
        across = max(1, (width - name_width) // cell)
        down = max(1, height - 2)
        self.top = first_in_view(self.top, self.row, down, len(names))
        self._left = first_in_view(self._left, self.column, across, len(names))
        places = range(self._left, min(self._left + across, len(names)))
        labels = [names[self.order[place]][: cell - 1] for place in places]
        if len(set(labels)) < len(labels):  # cut so short they say nothing: numbers are told apart
            labels = [str(self.order[place] + 1) for place in places]
        heading = [
            (f"{label:>{cell}}", _emphasis(place == self.column))
            for label, place in zip(labels, places, strict=True)
        ]
        lines = [Content.assemble(" " * name_width, *heading)]
        for row in range(self.top, min(self.top + down, len(names))):
            truth = self.order[row]
            cells = [
                _cell(
                    counts.get((truth, self.order[place]), 0),
                    results.total[truth],
                    cell,
                    right=row == place,
                    selected=(row, place) == (self.row, self.column),
                )
                for place in places
            ]
            name = (f"{names[truth]:<{name_width}}", _emphasis(row == self.row))
            lines.append(Content.assemble(name, *cells))
        return [*lines, self._sentence(results, counts)]

    def _sentence(self, results: ClassResults, counts: dict[tuple[int, int], int]) -> Content:
        truth, called = self.order[self.row], self.order[self.column]
        names, _ = shorten_names((results.names[truth], results.names[called]), 20)
        images, total = counts.get((truth, called), 0), results.total[truth]
        share = f"{images:,} of {total:,}, {percent(ratio(images, total))}"
        if truth == called:
            return Content.assemble((names[0], "bold"), f" called so: {share}")
        return Content.assemble((names[0], "bold"), " called ", (names[1], "bold"), f": {share}")


def _emphasis(selected: bool) -> str:
    return "bold $foreground" if selected else "$muted"


def _cell(images: int, total: int, width: int, *, right: bool, selected: bool) -> tuple[str, str]:
    """The number, louder the more of the class it is; the diagonal in the accent."""
    share = ratio(images, total)
    if right:
        style = "$primary"
    elif not images:
        style = "$faint"
    else:
        style = "$muted" if share < 0.02 else "$text-warning" if share < 0.1 else "bold $text-error"
    text = f"{images or '·':>{width}}"
    return text, f"{style} reverse" if selected else style
