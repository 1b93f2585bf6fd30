"""The most frequent mistakes, as pairs of classes."""

from collections.abc import Sequence

from textual.content import Content

from cnn_engine.results.metrics import most_confused
from cnn_tui.dashboard.class_results import ClassResults, shorten_names
from cnn_tui.dashboard.widgets.classes.class_panel import ClassPanel
from cnn_tui.dashboard.widgets.panel import labeled_bar
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.width import pad

MAX_NAME = 16
MIN_BAR = 6


class ConfusedPairs(ClassPanel):
    """True and predicted class of the pairs with the most images."""

    TITLE = "Most confused"

    def result_lines(self, results: ClassResults, width: int, height: int) -> Sequence[Content]:
        """Return a line for each pair, as many as fit."""
        pairs = most_confused(results.confusion, height)
        if not pairs:
            return [Content.styled("no mistakes", "$muted")]
        names, name_width = shorten_names(results.names, MAX_NAME)
        lines = []
        for target, predicted, images in pairs:
            fraction = ratio(images, results.total[target])
            pair = (pad(names[index], name_width) for index in (target, predicted))
            label = f"{' → '.join(pair)} "
            label += f"{images:>6,} {percent(fraction, 0):>4} "
            lines.append(labeled_bar(label, fraction, width, MIN_BAR))
        return lines
