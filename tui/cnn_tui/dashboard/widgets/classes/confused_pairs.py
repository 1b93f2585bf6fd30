"""The commonest mistakes."""

from collections.abc import Sequence

from textual.content import Content

from cnn_engine.results.metrics import most_confused
from cnn_tui.dashboard.class_results import ClassResults, shorten_names
from cnn_tui.dashboard.widgets.classes.class_panel import ClassPanel
from cnn_tui.dashboard.widgets.panel import colored_bar
from cnn_tui.text.numbers import percent, ratio

LONGEST_NAME = 16
LEAST_BAR = 6


class ConfusedPairs(ClassPanel):
    """The pairs of classes with the most images taken one for the other."""

    TITLE = "Most confused"

    def draw_results(self, results: ClassResults, width: int, height: int) -> Sequence[Content]:
        """A line a pair, as many as fit."""
        pairs = most_confused(results.confusion, height)
        if not pairs:
            return [Content.styled("nothing was mistaken", "$muted")]
        names, name_width = shorten_names(results.names, LONGEST_NAME)
        lines = []
        for truth, called, images in pairs:
            share = ratio(images, results.total[truth])
            text = f"{names[truth]:<{name_width}} → {names[called]:<{name_width}} {images:>6,} "
            text += f"{percent(share, 0):>4} "
            room = width - len(text)
            lines.append(Content(text) + colored_bar(share, room if room >= LEAST_BAR else 0))
        return lines
