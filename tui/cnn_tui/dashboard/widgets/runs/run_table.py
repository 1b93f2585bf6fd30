"""The table of runs and series of runs; only the rows in view are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from cnn_engine.runs.columns import RUN_COLUMNS, RunColumn
from cnn_engine.runs.groups import RunGroup, series_name
from cnn_engine.runs.summary import RunSummary
from cnn_tui.dashboard.keys import with_keys
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.dashboard.widgets.run_header import BADGES
from cnn_tui.dashboard.widgets.runs.rows import GROUP_BADGES, Row
from cnn_tui.text.columns import COLUMNS, Column, make_column
from cnn_tui.text.numbers import age
from cnn_tui.text.safe import safe_text
from cnn_tui.text.spreads import short_keys, spread_text
from cnn_tui.text.width import cut, fit, widest

GAP = "  "
MARKS_WIDTH = 4
WHEEL_ROWS = 3

COLUMNS_BY_KEY = {column.source.key: column for column in COLUMNS}
WIDTHS = {
    "epochs": 7,
    "val": 7,
    "acc": 6,
    "test": 6,
    "time": 7,
    "started": 8,
    "name": 10,
    "tag": 12,
}
MIN_TEXT_WIDTH, MAX_TEXT_WIDTH = 6, 14
"""Limits of a column that is as wide as its texts."""

IMPORTANCE = ("acc", "epochs", "name", "preset", "test", "started", "val", "time", "tag")
"""Columns after the run's id, the most important first; those that do not fit, and those in which
no run has a value, are dropped."""

EMPTY: tuple[object, ...] = (None, "", (), [])

COLUMN_ORDER = tuple(COLUMNS_BY_KEY)


@dataclass(frozen=True, kw_only=True)
class RunTableContent:
    """The rows of a table, and how they are sorted."""

    rows: Sequence[Row] = ()
    """Runs and series, sorted already."""

    extra_columns: Sequence[RunColumn] = ()
    """Columns that the filter or the sort order adds."""

    sort_column: RunColumn = RUN_COLUMNS["started"]
    is_descending: bool = True


class RunTable(Panel[RunTableContent]):
    """A row for each run or series, with a cursor and marks on selected runs."""

    ALLOW_SELECT = False  # a click does something

    DEFAULT_CSS = """
    RunTable {
        height: 1fr;
        width: 1fr;
        border: none;
    }
    """

    class Moved(Message):
        """Another row is under the cursor, or the same one with new values."""

    class Opened(Message):
        """The row under the cursor was clicked."""

    @dataclass
    class Sorted(Message):
        """The heading of a column was clicked."""

        column: RunColumn

    cursor: reactive[int] = reactive(0, repaint=False)
    """Index of the row under the cursor."""

    selected: reactive[frozenset[str]] = reactive(frozenset(), repaint=False)
    """Ids of the selected runs."""

    def __init__(self) -> None:
        super().__init__()
        self._was_moved = False
        self._top = 0
        self._page = 1
        self._widths = WIDTHS
        """Width of each column in which a run has a value."""
        self._columns: list[tuple[Column, int]] = []
        self._has_groups = False

    def watch_cursor(self) -> None:
        """Draw the cursor in its new row."""
        self._redraw()

    def watch_selected(self) -> None:
        """Draw the new marks."""
        self._redraw()

    @property
    def content(self) -> RunTableContent:
        """The runs that are shown, and how they are sorted."""
        return self._data or RunTableContent()

    @property
    def rows(self) -> Sequence[Row]:
        """The rows that are shown, in their order."""
        return self.content.rows

    @property
    def runs(self) -> Sequence[RunSummary]:
        """The runs that are shown, in their order; those of folded series are not."""
        return [row.run for row in self.rows if row.group is None]

    @property
    def current_row(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.rows else None

    @property
    def current(self) -> RunSummary | None:
        """The run under the cursor; None if it is a series."""
        row = self.current_row
        return None if row is None or row.group else row.run

    @property
    def current_group(self) -> RunGroup | None:
        """The series under the cursor; None if it is a run."""
        row = self.current_row
        return row.group if row else None

    def show(self, content: RunTableContent) -> None:
        """Show runs; the cursor stays on its row once it has been moved."""
        previous, rows = self.current_row, content.rows
        cursor = self.cursor
        if previous is not None and self._was_moved and content is not self._data:
            keys = [row.key for row in rows]
            if previous.key in keys:
                cursor = keys.index(previous.key)
        self._widths = _column_widths(rows)
        self._has_groups = any(row.group for row in rows)
        self.set_reactive(RunTable.cursor, min(cursor, max(0, len(rows) - 1)))
        super().show(content)
        if self.current_row != previous:
            self.post_message(self.Moved())

    def go_to_group(self, group: str) -> None:
        """Move the cursor to the row of a series, if it is shown."""
        for index, row in enumerate(self.rows):
            if row.group is not None and row.group.id == group:
                self.move(index - self.cursor)
                return

    def move(self, rows: int) -> None:
        """Move the cursor by rows, within the table."""
        cursor = max(0, min(self.cursor + rows, len(self.rows) - 1))
        self._was_moved = True
        if cursor != self.cursor:
            self.cursor = cursor
            self.post_message(self.Moved())

    def page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self.move(pages * max(1, self._page - 1))

    def toggle_selected(self) -> None:
        """Select or deselect the run or series under the cursor, and move to the next row."""
        if self.current_row is not None:
            ids = {run.run_id for run in self.current_row.runs}
            self.selected = self.selected - ids if ids <= self.selected else self.selected | ids
            self.move(1)

    def sortable(self) -> list[RunColumn]:
        """Return the columns in view, from left to right."""
        return [column.source for column, _ in self._columns]

    def draw(self, content: RunTableContent, width: int, height: int) -> list[Content]:
        """Return the headings, and the rows in view."""
        rows_shown = content.rows
        self._page = max(1, height - 1)
        self._top = max(min(self._top, self.cursor), self.cursor - self._page + 1)
        self._top = max(0, min(self._top, len(rows_shown) - self._page))
        self._columns = self._fit_columns(content, width)
        shown = rows_shown[self._top : self._top + self._page]
        rows = [self._row(row, self._top + y == self.cursor, width) for y, row in enumerate(shown)]
        if not rows:
            text = with_keys(self.app, "no run matches; {runs.back} clears the filter")
            rows = [Content.styled(cut(text, width), "$muted")]
        return [self._headings(content), *rows, *[Content("")] * (self._page - len(rows))]

    def _fit_columns(self, content: RunTableContent, width: int) -> list[tuple[Column, int]]:
        """Return the columns that fit, and their widths."""
        room = width - MARKS_WIDTH - self._widths["run"] - len(GAP)
        extra = {
            column.key: make_column(column)
            for column in content.extra_columns
            if column.key not in COLUMNS_BY_KEY
        }
        kept = {"run": self._widths["run"]}
        for key in ("status", "acc", content.sort_column.key, *extra, *IMPORTANCE):
            if key not in self._widths and key not in extra:
                continue  # no run has a value, or there is no column, such as of the note
            needed = self._widths.get(key) or max(8, len(extra[key].heading) + 2)
            if key == "status" and width < 48:
                needed = 1
            if key not in kept and needed + len(GAP) <= room:
                kept[key] = needed
                room -= needed + len(GAP)
        if "name" in kept:
            kept["name"] += max(0, room)
        order = [*COLUMN_ORDER[:8], *extra, *COLUMN_ORDER[8:]]
        return [(COLUMNS_BY_KEY.get(key) or extra[key], kept[key]) for key in order if key in kept]

    def _headings(self, content: RunTableContent) -> Content:
        arrow = "▾" if content.is_descending else "▴"
        parts = [Content(" " * MARKS_WIDTH)]
        for column, width in self._columns:
            is_sorted = column.source.key == content.sort_column.key
            heading = f"{column.heading}{arrow}" if is_sorted else column.heading
            text = fit(heading if width > 1 else "", width, column.justify) + GAP
            parts.append(Content.styled(text, "bold $primary" if is_sorted else "$muted"))
        return Content("").join(parts)

    def _row(self, row: Row, is_current: bool, width: int) -> Content:
        background = " on $panel" if is_current else ""
        run, selected = row.run, [each.run_id in self.selected for each in row.runs]
        mark = "●" if all(selected) else "○" if any(selected) else " "
        parts = [
            ("▸" if is_current else " ", f"bold $primary{background}"),
            (mark, f"bold $secondary{background}"),
            ("★ " if run.star else "  ", f"$secondary{background}"),
        ]
        for column, columns_width in self._columns:
            text, style = self._cell(row, column, columns_width)
            if column.source.key == "run" and is_current:
                style = "bold $foreground"
            cell = fit(text, columns_width, column.justify) + GAP
            parts.append((cell, f"{style}{background}"))
        used = sum(cell_len(text) for text, _ in parts)
        return Content.assemble(*parts, (" " * (width - used), background.strip() or "$foreground"))

    def _cell(self, row: Row, column: Column, width: int) -> tuple[str, str]:
        """Return the text of a cell, and its style."""
        run, key, style = row.run, column.source.key, "$foreground"
        if key == "status":
            glyph, style = GROUP_BADGES[row.group.status] if row.group else BADGES[run.status]
            return glyph if width == 1 else f"{glyph} {row.status}", style
        if key == "started":
            return age(run.started), "$muted"
        if key == "run":
            return self._run_cell(row), style
        if row.group is not None and (text := _group_cell(row.group, key)) is not None:
            return text, style
        if key == "name":
            return safe_text(_member_name(run) if row.is_member else run.name, width), style
        return column.cell(run), style

    def _run_cell(self, row: Row) -> str:
        """Return the id; with series in the table, those have a sign, and their runs are below."""
        run_id = safe_text(row.run.run_id)
        if not self._has_groups:
            return run_id
        sign = "  " if row.group is None else "- " if row.is_open else "+ "
        return f"{'  ' * row.is_member}{sign}{run_id}"

    def on_click(self, event: events.Click) -> None:
        """Sort by the clicked heading; go to the clicked row, or open it if it has the cursor."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._sort_by(offset.x)
        elif self._top + offset.y - 1 == self.cursor:
            self.post_message(self.Opened())
        elif self._top + offset.y - 1 < len(self.rows):
            self.move(self._top + offset.y - 1 - self.cursor)

    def _sort_by(self, x: int) -> None:
        end = MARKS_WIDTH
        for column, width in self._columns:
            end += width + len(GAP)
            if x < end:
                self.post_message(self.Sorted(column.source))
                return

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move down a few rows."""
        event.stop()
        self.move(WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move up a few rows."""
        event.stop()
        self.move(-WHEEL_ROWS)


def _member_name(run: RunSummary) -> str:
    """Return the name of a run below its series: `lr=0.003 seed 1`."""
    return short_keys(run.name.removeprefix(series_name(run.name)).strip())


def _group_cell(group: RunGroup, key: str) -> str | None:
    """Return the text of a series in a column; None if it is that of its means."""
    if key == "epochs":
        return f"{group.done}/{group.planned} runs"
    if key == "name":
        swept = short_keys(group.swept)
        return safe_text(": ".join(filter(None, (group.name, swept))), 120)
    metric = {"acc": "best_val_accuracy", "test": "test_accuracy"}.get(key)
    if metric is None:
        return None
    spread = group.best(metric)
    return "–" if spread is None else spread_text(spread).replace(" ", "")


def _column_widths(rows: Sequence[Row]) -> dict[str, int]:
    """Return the width of each column in which a row has a value."""
    statuses = widest({f"x {row.status}" for row in rows})
    presets = widest(safe_text(preset) for preset in {row.run.preset for row in rows})
    ids = widest(safe_text(row.run.run_id) for row in rows)
    widths = {
        "run": min(24, max(6, ids)),
        "status": max(MIN_TEXT_WIDTH, statuses),
        "preset": min(MAX_TEXT_WIDTH, max(MIN_TEXT_WIDTH, presets)),
        **WIDTHS,
    }
    if groups := [row.group for row in rows if row.group]:
        indent = 4 if any(row.is_member for row in rows) else 2
        widths["run"] = min(24, widths["run"] + indent)
        for key in ("epochs", "acc", "test"):
            needed = widest(_group_cell(group, key) or "" for group in groups)
            widths[key] = max(widths[key], needed)
    always = ("run", "status", "acc")
    return {
        key: width
        for key, width in widths.items()
        if key in always
        or any(COLUMNS_BY_KEY[key].source.value(row.run) not in EMPTY for row in rows)
        or (key == "name" and groups)
    }
