"""A table with a column for each compared run."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive

from cnn_tui.dashboard.compared import ComparedRun, TableRow
from cnn_tui.dashboard.widgets.panel import LazyLines, Panel
from cnn_tui.text.width import cut, fit, widest

MIN_COLUMN, MAX_COLUMN = 11, 26
MAX_LABEL = 26
GAP = "  "


class TableContent(NamedTuple):
    """The title of a table, and its rows."""

    title: str
    rows: Sequence[TableRow]


class ComparisonTable(Panel[TableContent], can_focus=True):
    """Rows with one value per run; if not all runs fit, keys scroll through them."""

    first: reactive[int] = reactive(0, repaint=False)
    """Index among the other runs of the first one shown next to run A."""

    def __init__(
        self,
        runs: Sequence[ComparedRun],
        empty: str = "",
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
    ) -> None:
        """Create the table.

        Args:
            runs: The runs of the columns, from left to right.
            empty: The text shown if there are no rows.
            id: The widget's id.
        """
        super().__init__(id=id)
        self._runs, self._empty = runs, empty

    def watch_first(self) -> None:
        """Draw the runs in view."""
        self._redraw()

    def titles(self, content: TableContent) -> tuple[str, str]:
        """Return the table's title."""
        return content.title, ""

    def move(self, columns: int) -> None:
        """Scroll through the runs by columns."""
        self.first = max(self.first + columns, 0)

    def draw(self, content: TableContent, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """Return a heading and the rows."""
        rows = content.rows
        if not rows:
            return [Content.styled(self._empty, "$muted")]
        label_width = min(widest(row.label for row in rows), MAX_LABEL, max(6, width // 3))
        room = max(0, width - label_width)
        shown = self._visible_runs(max(1, room // (MIN_COLUMN + len(GAP))))
        needed = max(self._column_width(index, rows) for index in shown)
        column = max(MIN_COLUMN, min(needed, room // len(shown) - len(GAP)))

        def line(y: int) -> Content:
            if y == 0:
                return self._heading(label_width, column, shown)
            return _line(rows[y - 1], label_width, column, shown)

        return LazyLines(1 + len(rows), line)

    def _visible_runs(self, fitting: int) -> list[int]:
        """Return the indices of the runs in view: always run A, the baseline, and others."""
        others = range(1, len(self._runs))
        fitting = max(1, fitting - 1)
        first = min(self.first, max(0, len(others) - fitting))
        self.set_reactive(ComparisonTable.first, first)
        return [0, *others[first : first + fitting]]

    def _column_width(self, index: int, rows: Sequence[TableRow]) -> int:
        texts = [row.cells[index] for row in rows] + [f"A {self._runs[index].name}"]
        return min(MAX_COLUMN, widest(texts) + len(" ★"))

    def _heading(self, label_width: int, column: int, shown: list[int]) -> Content:
        count = f"{len(shown)} of {len(self._runs)}" if len(shown) < len(self._runs) else ""
        label = (count if len(count) <= label_width else "").ljust(label_width)
        parts = [Content.styled(label, "$muted")]
        for index in shown:
            run = self._runs[index]
            name = cut(run.name, column - 4)
            parts.append(
                Content.assemble(
                    GAP + " " * (column - 4 - cell_len(name)),
                    (f"{run.curves.letter} ", f"bold {run.curves.style}"),
                    (name, run.curves.style),
                    "  ",
                )
            )
        return Content("").join(parts)


def _line(row: TableRow, label_width: int, column: int, shown: list[int]) -> Content:
    parts = [Content.styled(fit(row.label, label_width), "$muted")]
    for index in shown:
        is_best = index in row.best
        text = f"{row.cells[index]}{' ★' if is_best else '  '}"
        parts.append(Content.styled(GAP + fit(text, column, "right"), "bold" if is_best else ""))
    return Content("").join(parts)
