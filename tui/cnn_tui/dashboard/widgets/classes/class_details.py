"""The selected class: what its images are predicted as, and its accuracy by epoch."""

from collections.abc import Iterator, Sequence

from textual.content import Content

from cnn_engine.results.metrics import most_confused
from cnn_tui.charts.blocks import sparkline
from cnn_tui.dashboard.class_results import ClassResults, shorten_names
from cnn_tui.dashboard.widgets.classes.class_panel import ClassPanel
from cnn_tui.dashboard.widgets.panel import labeled_bar
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import pad

MAX_NAME = 20
MIN_BAR = 6
LINES_AROUND = 3
"""Lines that are no pairs: a heading for each direction, and the epochs."""


class ClassDetails(ClassPanel):
    """Classes that the images of the selected class are taken for, and those taken for it."""

    TITLE = "Class"

    def result_titles(self, results: ClassResults) -> tuple[str, str]:
        """Return the name of the class."""
        return safe_text(results.names[self._index], 40), ""

    @property
    def _index(self) -> int:
        return self.selection.order[self.selection.row]

    def result_lines(self, results: ClassResults, width: int, height: int) -> Sequence[Content]:
        """Return both lists of classes, as long as they fit, and the accuracy by epoch."""
        index = self._index
        count = max(1, (height - LINES_AROUND) // 2)
        (name,), _ = shorten_names((results.names[index],), MAX_NAME)
        given = tuple(pair for pair in results.confusion if pair[0] == index)
        taken = tuple(pair for pair in results.confusion if pair[1] == index)
        return [
            Content.styled(f"{name} predicted as", "$muted"),
            *_bars(results, given, 1, count, width),
            Content.styled(f"predicted as {name}", "$muted"),
            *_bars(results, taken, 0, count, width),
            *_by_epoch(results, index, width),
        ]


def _bars(
    results: ClassResults,
    pairs: tuple[tuple[int, int, int], ...],
    other: int,
    count: int,
    width: int,
) -> Iterator[Content]:
    """Yield a line for each of the classes with the most images.

    Args:
        results: The results.
        pairs: True and predicted class, and the images.
        other: Index of the other class in a pair: 1 for the predicted, 0 for the true class.
        count: Maximum number of classes.
        width: Cells of a line.
    """
    if not pairs:
        yield Content.styled("  none", "$faint")
    for pair in most_confused(pairs, count):
        fraction = ratio(pair[2], results.total[pair[0]])
        (name,), _ = shorten_names((results.names[pair[other]],), MAX_NAME)
        label = f"  {pad(name, MAX_NAME)} {pair[2]:>6,} {percent(fraction, 0):>4} "
        yield labeled_bar(label, fraction, width, MIN_BAR)


def _by_epoch(results: ClassResults, index: int, width: int) -> Iterator[Content]:
    """Yield the validation accuracy of a class over the epochs, if there are several."""
    values = [
        ratio(epoch.correct[index], epoch.total[index])
        for epoch in results.epochs
        if index < len(epoch.total) and epoch.total[index]
    ]
    if len(values) < 2:
        return
    first, last = percent(values[0], 0), percent(values[-1], 0)
    room = width - len("validation  ") - len(first) - len(last) - 2
    yield Content.assemble(
        ("validation  ", "$muted"),
        f"{first} ",
        (sparkline(values, max(0, room)), "$secondary"),
        f" {last}",
    )
