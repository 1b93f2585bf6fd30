"""The table of all classes with their metrics."""

from collections.abc import Sequence

from textual.content import Content

from cnn_engine.results.metrics import ClassMetrics, class_metrics
from cnn_tui.dashboard.class_results import ClassResults, shorten_names
from cnn_tui.dashboard.widgets.classes.class_grid import accuracy_bar, change_text
from cnn_tui.dashboard.widgets.classes.class_panel import ClassPanel, scroll_to_selected
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.width import pad

MAX_NAME = 24
MIN_BAR, MAX_BAR = 4, 20
LIVE_HEADINGS = ("  last", "  best", "  prec", "    F1", "  images")
"""Columns of a validation, the most important first: change against the previous and the best
epoch in percentage points; precision; F1; images. They are dropped from the end."""

FINAL_HEADINGS = ("  95% in", "  prec", "    F1", "  images")
"""Columns of a test, which has the confidence interval of the accuracy in place of changes."""


class ClassTable(ClassPanel):
    """Accuracy, change or confidence interval, precision and F1; one class is selected."""

    TITLE = "Classes"

    def result_titles(self, results: ClassResults) -> tuple[str, str]:
        """Return the split, and the position of the selected class."""
        selection = self.selection
        position = f"{selection.row + 1} of {len(selection.order):,}"
        return f"{self.TITLE} ─ {results.title}", f"{position} · {selection.order_name}"

    def result_lines(self, results: ClassResults, width: int, height: int) -> Sequence[Content]:
        """Return a heading, and the classes around the selected one."""
        order, selected = self.selection.order, self.selection.row
        rows = max(1, height - 1)
        self._top = scroll_to_selected(self._top, selected, rows, len(order))
        names, name_width = shorten_names(results.names, max(4, min(MAX_NAME, width - 12)))
        name_width = max(name_width, len("class"))
        room = width - 2 - name_width - len(" 100% ")
        columns = FINAL_HEADINGS if results.is_final else LIVE_HEADINGS
        headings = [
            heading
            for number, heading in enumerate(columns, start=1)
            if room - MIN_BAR >= sum(map(len, columns[:number]))
        ]
        bar_width = max(0, min(MAX_BAR, room - sum(map(len, headings))))
        metrics = class_metrics(results.correct, results.total, results.confusion)

        def line(position: int) -> Content:
            index, is_selected = order[position], position == selected
            accuracy = results.accuracy(index)
            cells = [
                *_interval_or_changes(results, index, metrics[index]),
                Content(f"{_percent(metrics[index].precision):>6}"),
                Content(f"{_percent(metrics[index].f1):>6}"),
                Content.styled(f"{results.total[index]:>8,}", "$muted"),
            ]
            return Content.assemble(
                ("› " if is_selected else "  ", "bold $primary"),
                (pad(names[index], name_width), "bold" if is_selected else ""),
                f" {percent(accuracy, 0):>4} ",
                accuracy_bar(accuracy, bar_width),
                *cells[: len(headings)],
            )

        heading = f"  {'class':<{name_width}}  acc {'':<{bar_width}}{''.join(headings)}"
        last = min(self._top + rows, len(order))
        return [Content.styled(heading, "$muted"), *map(line, range(self._top, last))]


def _interval_or_changes(results: ClassResults, index: int, metrics: ClassMetrics) -> list[Content]:
    """Return the confidence interval of a test; of a validation, the changes of the accuracy."""
    if results.is_final:
        interval = metrics.accuracy.interval
        text = "–" if interval is None else "–".join(f"{100 * edge:.0f}" for edge in interval)
        return [Content.styled(f"{text:>8}", "$muted")]
    correct, total = results.correct[index], results.total[index]
    return [
        change_text(ratio(correct - results.previous_correct[index], total), 6),
        change_text(ratio(correct - results.best_correct[index], total), 6),
    ]


def _percent(fraction: float | None) -> str:
    return "–" if fraction is None else percent(fraction, 0)
