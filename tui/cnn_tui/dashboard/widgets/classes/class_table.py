"""Every class with its figures, in an order of one's choice."""

from collections.abc import Sequence

from textual.content import Content

from cnn_engine.results.metrics import ClassFigures, class_figures
from cnn_tui.dashboard.class_results import ClassResults, shorten_names
from cnn_tui.dashboard.widgets.classes.class_grid import change_text
from cnn_tui.dashboard.widgets.classes.class_panel import ClassPanel, first_in_view
from cnn_tui.dashboard.widgets.panel import colored_bar
from cnn_tui.text.numbers import percent, ratio

LONGEST_NAME = 24
LEAST_BAR, LONGEST_BAR = 4, 20
LIVE_HEADINGS = ("  last", "  best", "  prec", "    F1", "  images")
"""Columns that stand where there is room: changes against the epoch before and the best one, in
percentage points; precision; F1; images. The most important first."""

FINAL_HEADINGS = ("  95% in", "  prec", "    F1", "  images")
"""And of the test, with which nothing is compared, the interval that accuracy lies in."""


class ClassTable(ClassPanel):
    """Accuracy of each class, how sure or how new it is, and more; one class is selected."""

    TITLE = "Classes"

    def draw_results(self, results: ClassResults, width: int, height: int) -> Sequence[Content]:
        """A heading, and the classes around the selected one."""
        self.retitle(
            f"{self.TITLE} ─ {results.title}",
            f"{self.row + 1} of {len(self.order):,} · {self.order_name}",
        )
        rows = max(1, height - 1)
        self.top = first_in_view(self.top, self.row, rows, len(self.order))
        names, name_width = shorten_names(results.names, max(4, min(LONGEST_NAME, width - 12)))
        name_width = max(name_width, len("class"))
        room = width - 2 - name_width - len(" 100% ")
        columns = FINAL_HEADINGS if results.is_final else LIVE_HEADINGS
        headings = [
            heading
            for number, heading in enumerate(columns, start=1)
            if room - LEAST_BAR >= sum(map(len, columns[:number]))
        ]
        bar_width = max(0, min(LONGEST_BAR, room - sum(map(len, headings))))
        figures = class_figures(results.correct, results.total, results.confusion)

        def line(place: int) -> Content:
            index, is_selected = self.order[place], place == self.row
            share = results.accuracy(index)
            cells = [
                *_certainty(results, index, figures[index]),
                Content(f"{_percent(figures[index].precision):>6}"),
                Content(f"{_percent(figures[index].f1):>6}"),
                Content.styled(f"{results.total[index]:>8,}", "$muted"),
            ]
            return Content.assemble(
                ("› " if is_selected else "  ", "bold $primary"),
                (f"{names[index]:<{name_width}}", "bold" if is_selected else ""),
                f" {percent(share, 0):>4} ",
                colored_bar(share, bar_width),
                *cells[: len(headings)],
            )

        heading = f"  {'class':<{name_width}}  acc {'':<{bar_width}}{''.join(headings)}"
        last = min(self.top + rows, len(self.order))
        return [Content.styled(heading, "$muted"), *map(line, range(self.top, last))]


def _certainty(results: ClassResults, index: int, figures: ClassFigures) -> list[Content]:
    """Of the test, where a class's accuracy lies; of a validation, how it has changed."""
    if results.is_final:
        interval = figures.accuracy.interval
        text = "–" if interval is None else "–".join(f"{100 * edge:.0f}" for edge in interval)
        return [Content.styled(f"{text:>8}", "$muted")]
    share, total = results.accuracy(index), results.total[index]
    return [
        change_text(share - ratio(results.previous_correct[index], total), 6),
        change_text(share - ratio(results.best_correct[index], total), 6),
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else percent(share, 0)
