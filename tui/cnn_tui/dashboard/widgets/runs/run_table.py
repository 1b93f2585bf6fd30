"""The list of runs: of ten thousand, those in view are drawn."""

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message

from cnn_engine.runlog.state import RunState
from cnn_engine.runs.columns import RUN_COLUMNS, RunColumn
from cnn_engine.runs.summary import RunSummary
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.dashboard.widgets.run_header import BADGES
from cnn_tui.text.columns import COLUMNS, Column, fit, make_column
from cnn_tui.text.numbers import age
from cnn_tui.text.safe import safe_text

GAP = "  "
MARKS_WIDTH = 4
WHEEL_ROWS = 3

BY_KEY = {column.source.key: column for column in COLUMNS}
WIDTHS = {
    "status": 13,
    "epochs": 7,
    "val": 7,
    "acc": 6,
    "test": 6,
    "time": 7,
    "started": 8,
    "preset": 10,
    "name": 10,
    "tag": 12,
}
IMPORTANCE = ("acc", "name", "test", "epochs", "started", "val", "preset", "time", "tag")
"""Which columns come first where there is no room for all; after the run's id."""

ORDER = tuple(BY_KEY)


class RunTable(Panel):
    """A row a run, with a cursor, and marks for those that are chosen together."""

    DEFAULT_CSS = """
    RunTable {
        height: 1fr;
        width: 1fr;
        padding: 0 1;
    }
    """

    class Moved(Message):
        """Another run is under the cursor, or the same one with other figures."""

    class Opened(Message):
        """The run under the cursor was clicked."""

    class Sorted(Message):
        """The heading of a column was clicked."""

        def __init__(self, figure: RunColumn) -> None:
            super().__init__()
            self.figure = figure

    def __init__(self) -> None:
        super().__init__()
        self.runs: Sequence[RunSummary] = ()
        self.chosen: set[str] = set()
        """Ids of runs that are to be compared."""
        self.by, self.falling = RUN_COLUMNS["started"], True
        self.cursor = 0
        self._was_moved = False
        self._asked: tuple[RunColumn, ...] = ()
        self._top = 0
        self._page = 1
        self._id_width = 3
        self._columns: list[tuple[Column, int]] = []

    @property
    def current(self) -> RunSummary | None:
        """The run under the cursor."""
        return self.runs[self.cursor] if self.runs else None

    def show_runs(
        self,
        runs: Sequence[RunSummary],
        asked: Sequence[RunColumn],
        by: RunColumn,
        *,
        falling: bool,
    ) -> None:
        """Show these, with the cursor on the run that it was put on, or else on the first.

        Args:
            runs: In their order.
            asked: What else is to be seen of them.
            by: What they are sorted by.
            falling: Whether the greatest comes first.
        """
        before = self.current
        self.runs, self.by, self.falling = runs, by, falling
        self._asked = tuple(figure for figure in asked if figure.key not in WIDTHS)
        self._id_width = min(24, max(6, *(len(run.run_id) for run in runs)) if runs else 6)
        if before is not None and self._was_moved:
            ids = [run.run_id for run in runs]
            if before.run_id in ids:
                self.cursor = ids.index(before.run_id)
        self.cursor = min(self.cursor, max(0, len(runs) - 1))
        self.redraw()
        if self.current is not before:
            self.post_message(self.Moved())

    def move(self, rows: int) -> None:
        """Move the cursor by so many rows, or as far as there are."""
        cursor = max(0, min(self.cursor + rows, len(self.runs) - 1))
        self._was_moved = True
        if cursor != self.cursor:
            self.cursor = cursor
            self.redraw()
            self.post_message(self.Moved())

    def page(self, pages: int) -> None:
        """Move the cursor by so many screens."""
        self.move(pages * max(1, self._page - 1))

    def choose(self) -> None:
        """Choose the run under the cursor, or no longer, and go to the next."""
        if self.current is not None:
            self.chosen ^= {self.current.run_id}
            self.redraw()
            self.move(1)

    def sortable(self) -> list[RunColumn]:
        """What the columns show, from left to right."""
        return [column.source for column, _ in self._columns]

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """The headings, and the rows in view."""
        self._page = max(1, height - 1)
        self._top = max(min(self._top, self.cursor), self.cursor - self._page + 1)
        self._top = max(0, min(self._top, len(self.runs) - self._page))
        self._columns = self._columns_for(width)
        shown = self.runs[self._top : self._top + self._page]
        rows = [self._row(run, self._top + y == self.cursor, width) for y, run in enumerate(shown)]
        return [self._headings(), *rows, *[Content("")] * (self._page - len(rows))]

    def _columns_for(self, width: int) -> list[tuple[Column, int]]:
        """The columns that there is room for, and their widths."""
        left = width - MARKS_WIDTH - self._id_width - len(GAP)
        asked = {figure.key: make_column(figure) for figure in self._asked}
        kept = {"run": self._id_width}
        for key in ("status", "acc", self.by.key, *asked, *IMPORTANCE):
            if key not in WIDTHS and key not in asked:
                continue  # a sort by what is shown in no column, such as the note
            wanted = WIDTHS.get(key) or max(8, len(asked[key].heading) + 2)
            if key == "status" and width < 48:
                wanted = 1
            if key not in kept and wanted + len(GAP) <= left:
                kept[key] = wanted
                left -= wanted + len(GAP)
        if "name" in kept:
            kept["name"] += max(0, left)
        order = [*ORDER[:8], *asked, *ORDER[8:]]
        return [(BY_KEY.get(key) or asked[key], kept[key]) for key in order if key in kept]

    def _headings(self) -> Content:
        parts = [Content(" " * MARKS_WIDTH)]
        for column, width in self._columns:
            is_by = column.source.key == self.by.key
            heading = f"{column.heading}{'▾' if self.falling else '▴'}" if is_by else column.heading
            text = fit(heading if width > 1 else "", width, column.justify) + GAP
            parts.append(Content.styled(text, "bold $primary" if is_by else "$muted"))
        return Content("").join(parts)

    def _row(self, run: RunSummary, is_current: bool, width: int) -> Content:
        ground = " on $panel" if is_current else ""
        glyph, color = BADGES[run.status]
        chosen = "●" if run.run_id in self.chosen else " "
        parts = [
            ("▸" if is_current else " ", f"bold $primary{ground}"),
            (chosen, f"bold $secondary{ground}"),
            ("★ " if run.star else "  ", f"$secondary{ground}"),
        ]
        for column, columns_width in self._columns:
            key, style = column.source.key, "$foreground"
            if key == "status":
                text, style = glyph if columns_width == 1 else f"{glyph} {run.status}", color
            elif key == "started":
                text, style = age(run.started), "$muted"
            elif key == "run":
                text, style = column.cell(run), "bold $foreground" if is_current else "$foreground"
            elif key == "name":
                text = safe_text(run.name, columns_width)
            else:
                text = column.cell(run)
            parts.append((fit(text, columns_width, column.justify) + GAP, f"{style}{ground}"))
        used = sum(cell_len(text) for text, _ in parts)
        return Content.assemble(*parts, (" " * (width - used), ground.strip() or "$foreground"))

    def on_click(self, event: events.Click) -> None:
        """Sort by a heading; go to a row, or open it where the cursor is there already."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._sort_by(offset.x)
        elif self._top + offset.y - 1 == self.cursor:
            self.post_message(self.Opened())
        elif self._top + offset.y - 1 < len(self.runs):
            self.move(self._top + offset.y - 1 - self.cursor)

    def _sort_by(self, x: int) -> None:
        end = MARKS_WIDTH
        for column, width in self._columns:
            end += width + len(GAP)
            if x < end:
                self.post_message(self.Sorted(column.source))
                return

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go down a few rows."""
        event.stop()
        self.move(WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go up a few rows."""
        event.stop()
        self.move(-WHEEL_ROWS)
