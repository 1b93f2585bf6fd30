"""A table with a column for each of the runs that are compared."""

from collections.abc import Callable, Sequence

from textual.content import Content

from cnn_tui.dashboard.compared import ComparedRun, TableRow
from cnn_tui.dashboard.widgets.panel import LazyLines, Lines

LEAST_COLUMN, LONGEST_COLUMN = 11, 26
LONGEST_LABEL = 26
GAP = "  "


class ComparisonTable(Lines, can_focus=True):
    """Rows of what is told of each run; where not all runs fit, keys go through them."""

    def __init__(
        self,
        runs: Sequence[ComparedRun],
        rows: Callable[[Sequence[ComparedRun]], list[TableRow]],
        empty: str = "",
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
    ) -> None:
        """Tell of runs.

        Args:
            runs: They.
            rows: What is told, made anew whenever it is shown.
            empty: What is said instead where there are no rows.
            id: Name among the widgets.
        """
        super().__init__(id=id)
        self._runs, self._rows, self._empty = runs, rows, empty
        self._first = 0

    def move(self, columns: int) -> None:
        """Go on to other runs, where not all fit."""
        self._first = max(self._first + columns, 0)
        self.redraw()

    def make(self, width: int, height: int) -> Sequence[Content]:  # noqa: ARG002
        """A heading, and the rows."""
        rows = self._rows(self._runs)
        if not rows:
            return [Content.styled(self._empty, "$muted")]
        longest = max(len(row.label) for row in rows)
        label = min(longest, LONGEST_LABEL, max(6, width // 3))
        room = max(0, width - label)
        fitting = max(1, room // (LEAST_COLUMN + len(GAP)))
        shown = self._shown(fitting)
        wide = [self._width(place, rows) for place in shown]
        column = max(LEAST_COLUMN, min(max(wide), room // len(shown) - len(GAP)))

        def line(y: int) -> Content:
            if y == 0:
                return self._heading(label, column, shown)
            return _line(rows[y - 1], label, column, shown)

        return LazyLines(1 + len(rows), line)

    def _shown(self, fitting: int) -> list[int]:
        """Places of the runs in view: the first, which the others are measured by, and some."""
        others = range(1, len(self._runs))
        fitting = max(1, fitting - 1)
        self._first = min(self._first, max(0, len(others) - fitting))
        return [0, *others[self._first : self._first + fitting]]

    def _width(self, place: int, rows: list[TableRow]) -> int:
        texts = [row.cells[place] for row in rows] + [f"A {self._runs[place].name}"]
        return min(LONGEST_COLUMN, max(map(len, texts)) + len(" ★"))

    def _heading(self, label: int, column: int, shown: list[int]) -> Content:
        more = f"{len(shown)} of {len(self._runs)}" if len(shown) < len(self._runs) else ""
        parts = [Content.styled((more if len(more) <= label else "").ljust(label), "$muted")]
        for place in shown:
            run = self._runs[place]
            name = _cut(run.name, column - 4).rjust(column - 4)
            stripped = name.lstrip()
            indent = " " * (len(name) - len(stripped))
            parts.append(
                Content.assemble(
                    GAP,
                    indent,
                    (f"{run.curves.letter} ", f"bold {run.curves.style}"),
                    (stripped, run.curves.style),
                    "  ",
                )
            )
        return Content("").join(parts)


def _line(row: TableRow, label: int, column: int, shown: list[int]) -> Content:
    parts = [Content.styled(_cut(row.label, label).ljust(label), "$muted")]
    for place in shown:
        is_best = place in row.best
        text = f"{row.cells[place]}{' ★' if is_best else '  '}"
        parts.append(
            Content.styled(GAP + _cut(text, column).rjust(column), "bold" if is_best else "")
        )
    return Content("").join(parts)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"
