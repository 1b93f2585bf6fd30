"""The browser: all runs, filtered and sorted, and what can be done with them."""

import time
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static

from cnn_engine.errors import ConfigError
from cnn_engine.runs.columns import RunColumn
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.filter import parse
from cnn_engine.runs.run_list import RunList
from cnn_engine.runs.selection import RunSelection, find_sort_column, select_runs
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.keys import Key, Scope, bindings_for
from cnn_tui.dashboard.screens.compare import MAX_RUNS, CompareScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.run_actions import RunActions
from cnn_tui.dashboard.widgets.key_bar import KeyBar
from cnn_tui.dashboard.widgets.runs.run_details import DetailedRun, RunDetails
from cnn_tui.dashboard.widgets.runs.run_table import RunTable, RunTableContent
from cnn_tui.text.safe import safe_text

REFRESH_SECONDS = 2.0
PIECE_SECONDS = 0.03
"""Read between two looks at the keyboard."""

SHOW_EVERY = 10
"""Times as long as to show what has been read so far, of very many runs, it is read on."""


class RunsScreen(Screen[None]):
    """A table of runs; beside it, where there is room, the one under the cursor."""

    BINDINGS = bindings_for("runs")
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    scopes: tuple[Scope, ...] = ("runs",)
    """Where the keys that work now have their place."""

    DEFAULT_CSS = """
    RunsScreen {
        #title {
            height: 1;
            padding: 0 1;
            background: $panel;
        }
        #list {
            height: 1fr;
        }
        RunDetails {
            width: 40;
            display: none;
        }
        &.-wide RunDetails {
            display: block;
        }
        #empty {
            margin: 2 4;
            height: 1fr;
            color: $muted;
            display: none;
        }
        &.-empty #list { display: none; }
        &.-empty #empty { display: block; }
        #filter {
            display: none;
            height: auto;
            padding: 0 1;
            background: $surface;
        }
        &.-filtering #filter { display: block; }
        #problem {
            color: $text-error;
        }
    }
    """

    def __init__(self, runs_dir: Path) -> None:
        super().__init__()
        self.runs_dir = runs_dir
        self._list = RunList(runs_dir)
        self._work = self._list.refresh_in_steps()
        self._shown_next = 0.0
        self._seen: object = None
        self._filter, self._sort = "", "-started"
        self.actions = RunActions(self)

    @property
    def rows(self) -> RunTable:
        """The table."""
        return self.query_one(RunTable)

    def compose(self) -> ComposeResult:
        """A title, the table and one run of it, the line for a filter, the keys."""
        yield Static(id="title", markup=False)
        with Horizontal(id="list"):
            yield RunTable()
            yield RunDetails()
        yield Static("Looking for runs …", id="empty", markup=False)
        with Static(id="filter"):
            line = Input(compact=True, placeholder="acc>0.9 lr<=0.001 status=done name~try")
            line.cursor_blink = False  # a blinking cursor never stops writing to the terminal
            yield line
            yield Static(id="problem", markup=False)
        yield KeyBar("runs")

    def on_mount(self) -> None:
        """Begin to read."""
        self.call_after_refresh(self._read)

    # Reading.

    def _read(self) -> None:
        """Take in what has changed, a piece at a time."""
        until = time.monotonic() + PIECE_SECONDS
        for _ in self._work:
            if time.monotonic() > until:
                if time.monotonic() > self._shown_next:
                    self._list.sort()
                    self.show()
                self.set_timer(0.001, self._read)
                return
        self.show()
        if not self._list.runs:
            text = "No runs yet. Start one with n, or leave with q and type:\n\n  cnn-tui run"
            self.query_one("#empty", Static).update(text)
        self.set_timer(REFRESH_SECONDS, self._begin)

    def _begin(self) -> None:
        """Look again, unless another screen has taken the place of this."""
        if self.is_shown:
            self._work = self._list.refresh_in_steps()
            self._read()
        else:
            self.set_timer(REFRESH_SECONDS, self._begin)

    @property
    def is_shown(self) -> bool:
        """Whether this is what is on screen, perhaps with a question over it."""
        return self.app.screen is self or isinstance(self.app.screen, ModalScreen)

    def refresh_now(self) -> None:
        """Show what was just changed here, without waiting for the next look."""
        self._list.refresh()
        self.show()

    # Showing.

    def show(self) -> None:
        """Show what is known, as far as it is asked for."""
        began = time.monotonic()
        if not self.app.can_draw():  # type: ignore[attr-defined]
            return
        seen = (self._list.runs, self._filter, self._sort)
        if seen != self._seen:
            self._seen = seen
            self._show_choice(self._chosen())
        else:
            self.rows.show(self.rows.content)  # the ages have changed
        self._show_title()
        self._shown_next = time.monotonic() + SHOW_EVERY * (time.monotonic() - began)

    def _chosen(self) -> RunSelection:
        """The runs to show; all, where those that the filter knew of are gone."""
        try:
            return select_runs(self._list.runs, self._filter, self._sort)
        except ConfigError:
            self._filter, self._sort = "", "-started"
            return select_runs(self._list.runs)

    def _show_choice(self, choice: RunSelection) -> None:
        self.set_class(not self._list.runs, "-empty")
        self.rows.selected &= {run.run_id for run in self._list.runs}
        content = RunTableContent(
            runs=choice.runs,
            extra_columns=choice.columns,
            sort_column=choice.sort_column,
            is_descending=self._sort.startswith("-"),
        )
        self.rows.show(content)
        self._show_details()

    def _show_title(self) -> None:
        rows, runs = self.rows, self._list.runs
        count = f"{len(rows.runs):,} of {len(runs):,}" if self._filter else f"{len(runs):,}"
        noun = "run" if len(runs) == 1 else "runs"
        parts = [("cnn-tui", "bold $primary"), (f"  {count} {noun}", "$foreground")]
        if self._filter:
            parts += [("  /", "$muted"), (safe_text(self._filter, 60), "bold")]
        if rows.selected:
            parts.append((f"  {len(rows.selected)} chosen", "$secondary"))
        parts.append((f"  {safe_text(str(self.runs_dir), 200)}", "$muted"))
        title = Content.assemble(*parts)
        widget = self.query_one("#title", Static)
        if widget.content != title:
            widget.update(title)

    @on(RunTable.Moved)
    def _show_details(self) -> None:
        rows = self.rows
        below = rows.cursor + 1 if rows.cursor + 1 < len(rows.runs) else rows.cursor - 1
        other = rows.runs[below] if len(rows.runs) > 1 else None
        self.query_one(RunDetails).show(DetailedRun(rows.current, other))

    def report(self, message: str) -> None:
        """Show a message for a while where the keys are."""
        self.query_one(KeyBar).report(message)

    # The filter, and the order.

    def action_filter(self) -> None:
        """Ask for a filter."""
        self.add_class("-filtering")
        line = self.query_one(Input)
        line.value = self._filter
        line.focus()

    @on(Input.Changed)
    def _filter_typed(self, event: Input.Changed) -> None:
        """Show at once what it means, or what is wrong with it."""
        problem = self.query_one("#problem", Static)
        try:
            parse(event.value, self._list.runs)
        except ConfigError as error:
            problem.update(safe_text(str(error), 300))
            return
        problem.update("")
        self._filter = event.value
        self.show()

    @on(Input.Submitted)
    def _filter_done(self) -> None:
        self.remove_class("-filtering")
        self.set_focus(None)

    def sort_by(self, sort: str) -> None:
        """Sort by a figure, or with `-` before it, the greatest first.

        Raises:
            ConfigError: there is no such figure.
        """
        find_sort_column(sort, self._list.runs)
        self._sort = sort
        self.show()

    def action_sort_next(self, step: int) -> None:
        """Sort by the next column, or the one before."""
        figures = self.rows.sortable()
        if not figures:  # there is no room for any
            return
        keys = [figure.key for figure in figures]
        now = (
            keys.index(self.rows.content.sort_column.key)
            if self.rows.content.sort_column.key in keys
            else -step
        )
        self._sort_by(figures[(now + step) % len(figures)])

    def action_invert(self) -> None:
        """The other way round."""
        key = self._sort.removeprefix("-")
        self.sort_by(key if self._sort.startswith("-") else f"-{key}")

    @on(RunTable.Sorted)
    def _heading_clicked(self, event: RunTable.Sorted) -> None:
        if event.column.key == self.rows.content.sort_column.key:
            self.action_invert()
        else:
            self._sort_by(event.column)

    def _sort_by(self, figure: RunColumn) -> None:
        self.sort_by(figure.key if figure.is_ascending else f"-{figure.key}")

    # What keys do.

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self.rows.move(rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by a screen."""
        self.rows.page(pages)

    def action_choose(self) -> None:
        """Choose a run to be compared, or no longer."""
        self.rows.toggle_selected()
        self._show_title()

    def action_compare(self) -> None:
        """Show the chosen runs side by side, in the order of the list."""
        chosen = [run.run_id for run in self.rows.runs if run.run_id in self.rows.selected]
        if not 2 <= len(chosen) <= MAX_RUNS:
            self.report(f"Choose two to {MAX_RUNS} runs with the space bar, then compare them")
        else:
            self.app.push_screen(CompareScreen(list(map(self.directory, chosen))))

    @on(RunTable.Opened)
    def action_open(self) -> None:
        """Open the run under the cursor."""
        if self.rows.current is not None:
            self.app.push_screen(RunScreen(self.directory(self.rows.current.run_id)))

    def action_do(self, what: str) -> None:
        """Do something with runs: a method of `RunActions`."""
        getattr(self.actions, what)()

    def action_help(self) -> None:
        """Show what the keys do."""
        self.app.push_screen(HelpScreen("runs"))

    def action_back(self) -> None:
        """Leave the filter, the chosen runs, or else the program."""
        if self.has_class("-filtering") or self._filter:
            self._filter = self.query_one(Input).value = ""
            self.query_one("#problem", Static).update("")
            self._filter_done()
        elif self.rows.selected:
            self.rows.selected = frozenset()
        else:
            self.app.exit()
            return
        self.show()

    @on(KeyBar.Clicked)
    async def _clicked(self, event: KeyBar.Clicked) -> None:
        await self.press(event.key)

    async def press(self, key: Key) -> None:
        """Do what a key does."""
        await self.run_action(key.action)

    def directory(self, run_id: str) -> RunDirectory:
        """Where a run is."""
        return RunDirectory(self.runs_dir / run_id)
