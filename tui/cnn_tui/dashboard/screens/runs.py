"""The run browser: a filtered and sorted list of runs, and actions on them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from textual import getters, on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widgets import Static

from cnn_engine.config.preset_files import describe_presets
from cnn_engine.errors import ConfigError, UserError
from cnn_engine.results.group_comparison import RunSet, sets_of_group
from cnn_engine.runs.columns import RunColumn
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.filter import parse
from cnn_engine.runs.groups import RunGroup, find_groups, find_live
from cnn_engine.runs.hints import command_in, how_to_stop
from cnn_engine.runs.queue_places import queue_place
from cnn_engine.runs.queued import cancel, move_up
from cnn_engine.runs.run_list import RunList
from cnn_engine.runs.selection import RunSelection, find_sort_column, select_runs
from cnn_engine.runs.summary import LIVE, RunSummary, read_state
from cnn_engine.session.holder_process import start_holder
from cnn_tui.dashboard.dialogs.copy import copy_dialog
from cnn_tui.dashboard.dialogs.run_edits import (
    delete_dialog,
    name_dialog,
    note_dialog,
    preset_dialog,
    sort_dialog,
    tags_dialog,
)
from cnn_tui.dashboard.keys import Key, Scope, bindings_for, shown_key, with_keys
from cnn_tui.dashboard.screens.compare import MAX_RUNS, CompareScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.screens.run_edits import RunEdits
from cnn_tui.dashboard.screens.screen import DashboardScreen
from cnn_tui.dashboard.widgets.filter_line import FilterLine
from cnn_tui.dashboard.widgets.key_bar import KeyBar
from cnn_tui.dashboard.widgets.runs.rows import make_rows
from cnn_tui.dashboard.widgets.runs.run_details import DetailedRun, RunDetails
from cnn_tui.dashboard.widgets.runs.run_table import RunTable, RunTableContent
from cnn_tui.live.threads import in_thread
from cnn_tui.text.queue import waiting_text
from cnn_tui.text.safe import escaped, safe_text
from cnn_tui.text.shell import command_for

REFRESH_SECONDS = 2.0
READ_SECONDS = 0.03
"""Maximum time spent reading summaries before keys are handled again."""

READ_TO_SHOW_RATIO = 10
"""Minimum ratio of reading time to drawing time while a long list is loaded."""

DEFAULT_SORT = "-started"

NEEDS_ROW = frozenset(["open", "select", "star", "edit_tags", "delete", "resume"])
"""Actions that are disabled while the table is empty."""

NEEDS_RUN = frozenset(["copy", "rename", "edit_note", "clone"])
"""Actions that are disabled unless a run is under the cursor."""

WELCOME_MARGIN = 8
"""Cells around the text of an empty list."""

MIN_WELCOME = 20
"""Cells to which a line of it is never cut."""

FOR_QUEUED = frozenset(["queue_up", "queue_cancel"])
"""Keys that only change queued runs."""


class RunsScreen(DashboardScreen):
    """A table of runs; on wide terminals with details of the run under the cursor beside it."""

    BINDINGS = bindings_for("runs")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]

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
    }
    """

    scopes: tuple[Scope, ...] = ("runs",)

    filter_text: reactive[str] = reactive("", repaint=False, init=False)
    sort: reactive[str] = reactive(DEFAULT_SORT, repaint=False, init=False)
    """Key of the column to sort by; with `-` before it, descending."""

    rows = getters.query_one(RunTable)
    details = getters.query_one(RunDetails)
    filter_line = getters.query_one(FilterLine)
    title_line = getters.query_one("#title", Static)
    empty_text = getters.query_one("#empty", Static)

    def __init__(self, runs_dir: Path) -> None:
        super().__init__()
        self._runs_dir = runs_dir
        self._list = RunList(runs_dir)
        self._groups: dict[str, RunGroup] = {}
        self._matching: tuple[RunSummary, ...] = ()
        """Runs that the filter matches, in the order of the list."""
        self._opened: frozenset[str] = frozenset()
        """Ids of the series whose runs are shown."""
        self._reading, self._editing = asyncio.Lock(), asyncio.Lock()
        """Held while the list is read, and while a run is changed."""
        self._next_show_time = 0.0
        self._shown: object = None
        self._edits = RunEdits(runs_dir)

    def compose(self) -> ComposeResult:
        """Yield the title, the table with the details, the filter, the keys."""
        yield Static(id="title", markup=False)
        with Horizontal(id="list"):
            yield RunTable()
            yield RunDetails()
        yield Static("Looking for runs …", id="empty", markup=False)
        yield FilterLine("acc>0.9 lr<=0.001 status=done name~try")
        yield KeyBar()

    def on_mount(self) -> None:
        """Start to read the runs."""
        self.call_after_refresh(self.poll)
        self.set_interval(REFRESH_SECONDS, self.poll)

    # Reading.

    def poll(self) -> None:
        """Start to read changed summaries, unless it does, or another screen covers this one."""
        if self._is_shown and not self._reading.locked():
            self.run_worker(self._read())

    async def _read(self) -> None:
        """Read changed summaries piece by piece in a thread; keys are handled meanwhile."""
        async with self._reading:
            unread = self._list.refresh_in_steps()
            while not await in_thread(lambda: _read_piece(unread)):
                if not self.is_open:
                    return
                if time.monotonic() > self._next_show_time:
                    self._list.sort()
                    self._find_groups()
                    self.show()
        if any(run.status == "queued" for run in self._list.runs):
            await in_thread(start_holder)  # it may have been killed
        if not self.is_open:
            return
        await in_thread(self._find_groups)
        self.show()
        if not self._list.runs:
            self.empty_text.update(self._welcome())

    def _welcome(self) -> str:
        """Return what can be done without any run."""
        hint = with_keys(self.app, "No runs yet. {runs.new} starts one of these:")
        width = max(MIN_WELCOME, self.size.width - WELCOME_MARGIN)
        presets = [
            safe_text(f"  {name:<14} {text}", width) for name, text in describe_presets().items()
        ]
        command = escaped(command_in(self._runs_dir, "run", "PRESET"), 4000)
        return "\n".join(
            [
                hint,
                "",
                *presets,
                "",
                f"In the shell: {command}",
                "Runs of other training loops that import cnn_tui appear here by themselves.",
            ]
        )

    @property
    def _is_shown(self) -> bool:
        """True while no screen but a dialog covers this one."""
        return self.app.screen is self or isinstance(self.app.screen, ModalScreen)

    async def _refresh_now(self) -> None:
        """Show a change made in this screen, without waiting for the next regular read."""
        async with self._reading:
            await in_thread(self._list.refresh)
            await in_thread(self._find_groups)
        self.show(is_reply=True)

    def _find_groups(self) -> None:
        self._groups = find_groups(self._list.runs, self._runs_dir)

    # Showing.

    def show(self, *, is_reply: bool = False) -> None:
        """Show the runs that the filter matches.

        Args:
            is_reply: True if it shows the effect of a key, which the byte budget does not limit.
        """
        start = time.monotonic()
        if not self.can_draw(is_reply=is_reply):
            return
        shown = (self._list.runs, self.filter_text, self.sort, self._opened, self._groups)
        if shown != self._shown:
            self._shown = shown
            self._show_selection(self._select())
        else:
            self.rows.show(self.rows.content)  # the ages have changed
        self._show_title()
        self.refresh_bindings()
        self._next_show_time = time.monotonic() + READ_TO_SHOW_RATIO * (time.monotonic() - start)

    def _select(self) -> RunSelection:
        """Return the runs to show; all runs if no run has the filter's columns any more."""
        try:
            return select_runs(self._list.runs, self.filter_text, self.sort)
        except ConfigError:
            self.set_reactive(RunsScreen.filter_text, "")
            self.set_reactive(RunsScreen.sort, DEFAULT_SORT)
            return select_runs(self._list.runs)

    def _show_selection(self, selection: RunSelection) -> None:
        self.set_class(not self._list.runs, "-empty")
        self.rows.selected &= {run.run_id for run in self._list.runs}
        self._matching = selection.runs
        is_descending = self.sort.startswith("-")
        content = RunTableContent(
            rows=make_rows(selection, self._groups, self._opened, is_descending=is_descending),
            extra_columns=selection.columns,
            sort_column=selection.sort_column,
            is_descending=is_descending,
        )
        self.rows.show(content)
        self._show_details()

    def _show_title(self) -> None:
        rows, runs, matching = self.rows, self._list.runs, self._matching
        count = f"{len(matching):,} of {len(runs):,}" if self.filter_text else f"{len(runs):,}"
        noun = "run" if len(runs) == 1 else "runs"
        parts = [("cnn-tui", "bold $primary"), (f"  {count} {noun}", "$foreground")]
        if self.filter_text:
            parts += [("  /", "$muted"), (safe_text(self.filter_text, 60), "bold")]
        if rows.selected:
            parts.append((f"  {len(rows.selected)} selected", "$secondary"))
        parts.append((f"  {safe_text(str(self._runs_dir), 200)}", "$muted"))
        title = Content.assemble(*parts)
        if self.title_line.content != title:
            self.title_line.update(title)

    @on(RunTable.Moved)
    def _show_details(self) -> None:
        table = self.rows
        below = table.rows[table.cursor + 1 :]
        above = reversed(table.rows[: table.cursor])
        others = (row.run for row in chain(below, above) if row.group is None)
        run = table.current
        other = next(others, None) if run else None
        self.details.show(DetailedRun(run, other, table.current_group))

    # The filter.

    def action_filter(self) -> None:
        """Open the line for a filter."""
        self.filter_line.open(self.filter_text)

    @on(FilterLine.Changed)
    def _filter_changed(self, event: FilterLine.Changed) -> None:
        """Apply the filter as it is typed."""
        self._apply_filter(event.text)

    @on(FilterLine.Submitted)
    def _filter_submitted(self, event: FilterLine.Submitted) -> None:
        """Close the line, unless its text is invalid."""
        if self._apply_filter(event.text):
            self.filter_line.close()

    def _apply_filter(self, text: str) -> bool:
        """Show the runs that match, or the error in the text; return True if it is valid."""
        try:
            parse(text, self._list.runs)
        except ConfigError as error:
            self.filter_line.show_problem(str(error))
            return False
        self.filter_line.show_problem("")
        self.filter_text = text
        return True

    def watch_filter_text(self) -> None:
        """Show the runs that match."""
        self.show(is_reply=True)

    # The order.

    def watch_sort(self) -> None:
        """Show the runs in the new order."""
        self.show(is_reply=True)

    @work
    async def action_sort(self) -> None:
        """Ask for a column and sort by it."""

        def check(text: str) -> str:
            find_sort_column(text.strip(), self._list.runs)
            return text.strip()

        sort = await self.ask(sort_dialog(check))
        if sort is not None:
            self.sort = sort

    def action_sort_next(self, step: int) -> None:
        """Sort by the next column, or with -1 by the previous one."""
        columns = self.rows.sortable()
        if not columns:  # the terminal is too narrow for any
            return
        keys = [column.key for column in columns]
        sort_key = self.rows.content.sort_column.key
        current = keys.index(sort_key) if sort_key in keys else -step
        self._sort_by(columns[(current + step) % len(columns)])

    def action_reverse(self) -> None:
        """Reverse the order."""
        key = self.sort.removeprefix("-")
        self.sort = key if self.sort.startswith("-") else f"-{key}"

    @on(RunTable.Sorted)
    def _heading_clicked(self, event: RunTable.Sorted) -> None:
        if event.column.key == self.rows.content.sort_column.key:
            self.action_reverse()
        else:
            self._sort_by(event.column)

    def _sort_by(self, column: RunColumn) -> None:
        self.sort = column.key if column.is_ascending else f"-{column.key}"

    # The cursor and the selection.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Return None for actions that need a run or a series while there is none."""
        if not self.is_mounted:
            return True
        group = self.rows.current_group
        is_lacking = (
            (action in NEEDS_ROW and self.rows.current_row is None)
            or (action in NEEDS_RUN and self.rows.current is None)
            or (action == "watch" and not (group and group.status == "running"))
        )
        return None if is_lacking else True

    def is_useless(self, key: Key) -> bool:
        """Return True for keys of queued runs while the run under the cursor is not queued."""
        return key.name in FOR_QUEUED and not self._is_on_queued

    def label(self, key: Key) -> str:
        """Return the word for a key; `resume` starts a queued run."""
        return "start" if key.name == "resume" and self._is_on_queued else key.label

    @property
    def _is_on_queued(self) -> bool:
        """True if the run under the cursor is queued."""
        return self.is_mounted and self._current_queued is not None

    @property
    def _current_queued(self) -> RunSummary | None:
        """The run under the cursor, or that of the series there, if it is queued."""
        run, group = self.rows.current, self.rows.current_group
        if group is not None:
            return group.queued
        return run if run is not None and run.status == "queued" else None

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self.rows.move(rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by a screen."""
        self.rows.page(pages)

    def action_select(self) -> None:
        """Select or unselect the run or the series under the cursor."""
        self.rows.toggle_selected()
        self._show_title()

    def _targets(self) -> list[RunSummary]:
        """Return the selected runs, or else the one or the series under the cursor."""
        selected = [run for run in self._matching if run.run_id in self.rows.selected]
        row = self.rows.current_row
        return selected or (list(row.runs) if row else [])

    def action_compare(self) -> None:
        """Show the selected runs side by side, in the order of the list.

        A series all of whose runs are selected is one curve per setting.
        """
        compared = self._compared()
        if not 2 <= len(compared) <= MAX_RUNS:
            self.report(f"Select 2 to {MAX_RUNS} runs with the space bar, then compare them")
        else:
            self.open(CompareScreen(compared))

    def _compared(self) -> list[RunDirectory | RunSet]:
        """Return the selected runs, with the settings of a series in place of all its runs."""
        selected = [run for run in self._matching if run.run_id in self.rows.selected]
        chosen = {run.run_id for run in selected}
        compared = list[RunDirectory | RunSet]()
        seen = set[str]()
        for run in selected:
            group = self._groups.get(run.group)
            members = {each.run_id for each in group.runs} if group else set[str]()
            is_whole = len(members) > 1 and members <= chosen
            is_only = members == chosen and group is not None and len(group.settings) < 2
            if group is None or not is_whole or is_only:
                compared.append(self._edits.directory(run))
            elif group.id not in seen:
                seen.add(group.id)
                compared += sets_of_group(group, list(map(self._edits.directory, group.runs)))
        return compared

    @on(RunTable.Opened)
    def action_open(self) -> None:
        """Open the run under the cursor; open or fold a series."""
        row = self.rows.current_row
        if row is not None and row.group is not None:
            self.action_fold(row.is_open)
        elif row is not None:
            self.open(RunScreen(self._edits.directory(row.run)))

    def action_fold(self, is_folded: bool) -> None:
        """Fold the series under the cursor, or that of the run there; or show its runs."""
        row = self.rows.current_row
        if row is None or not (row.group or row.is_member):
            return
        group = row.group.id if row.group else row.run.group
        if is_folded:
            self.rows.go_to_group(group)
        self._opened = self._opened - {group} if is_folded else self._opened | {group}
        self.show(is_reply=True)

    def action_watch(self) -> None:
        """Open the run of the series that is trained, and then the next one."""
        group = self.rows.current_group
        if group is None:
            return
        if group.live is None:
            self.report("No run of this series is running now")
            return
        screen = RunScreen(self._edits.directory(group.live))
        screen.find_next = partial(find_live, self._runs_dir, group.id)
        self.open(screen)

    def action_back(self) -> None:
        """Clear the filter or the selection."""
        if self.filter_line.is_open or self.filter_text:
            self.filter_line.clear()
            self.filter_text = ""
        elif self.rows.selected:
            self.rows.selected = frozenset()
        else:
            super().action_back()
            return
        self.show(is_reply=True)

    @work
    async def action_copy(self) -> None:
        """Copy the selected text, or ask which text about the run to copy."""
        run = self.rows.current
        if not self.copy_selection() and run is not None:
            self.copy(await self.ask(copy_dialog(self._edits.directory(run), run.error)) or "")

    # Marks and the trash.

    @work
    async def action_star(self) -> None:
        """Star the runs, or remove the stars."""
        runs = self._targets()
        await self._try(lambda: self._edits.toggle_star(runs))

    @work
    async def action_rename(self) -> None:
        """Ask for a name and set it."""
        if run := self.rows.current:
            name = await self.ask(name_dialog(run))
            if name is not None:
                await self._try(lambda: self._edits.set_name(run, name))

    @work
    async def action_edit_note(self) -> None:
        """Ask for a note and set it."""
        if run := self.rows.current:
            note = await self.ask(note_dialog(run))
            if note is not None:
                await self._try(lambda: self._edits.set_note(run, note))

    @work
    async def action_edit_tags(self) -> None:
        """Ask for new values of the tags that the runs have in common, and replace them."""
        if runs := self._targets():
            old = sorted(set(runs[0].tags).intersection(*(run.tags for run in runs)))
            new = await self.ask(tags_dialog(runs, old))
            if new is not None:
                await self._try(lambda: self._edits.replace_tags(runs, old, new))

    @work
    async def action_delete(self) -> None:
        """Ask whether to move the runs to the trash, and do it."""
        runs = self._targets()
        live = next((run for run in runs if run.status in LIVE), None)
        if live:
            run = self._edits.directory(live)
            how = await in_thread(lambda: how_to_stop(read_state(run)[0], run))
            self.report(f"{live.run_id} is running: {how}")
            return
        if not runs:
            return
        undo = shown_key(self.app, "runs.undo_delete")
        if await self.ask(delete_dialog(runs, undo)):
            noun = f"{len(runs)} runs" if len(runs) > 1 else "Run"
            if await self._try(lambda: self._edits.delete(runs)):
                self.report(f"{noun} moved to the trash ({undo}: undo)")

    @work
    async def action_undo_delete(self) -> None:
        """Restore the run that was deleted last."""
        restored: list[RunDirectory | None] = []
        if await self._try(lambda: restored.append(self._edits.undo_delete())):
            run = restored[0]
            self.report(f"{run.id} is restored" if run else "The trash is empty")

    # Training.

    @work
    async def action_resume(self) -> None:
        """Resume the run in the background, and open it."""
        run, group = self.rows.current, self.rows.current_group
        if (queued := self._current_queued) is not None:
            await self._start_queued(self._edits.directory(queued))
        elif group is not None:
            await self._resume_series(group)
        elif run is None:
            return
        elif run.status in LIVE:
            self.report(
                f"{run.run_id} is already running; {shown_key(self.app, 'runs.open')} opens it"
            )
        elif run.status == "done" and run.is_own:
            epochs = str(run.epochs + 10)
            command = command_for("resume", self._edits.directory(run), "--epochs", epochs)
            self.report(f"This run is done; to train it longer: {command}")
        else:
            from cnn_engine.session.background import resume_in_background  # noqa: PLC0415 - imports pydantic

            directory = self._edits.directory(run)
            if await self._try(lambda: resume_in_background(directory)):
                self.open(RunScreen(directory))

    async def _start_queued(self, run: RunDirectory) -> None:
        """Start a queued run now, and open it."""
        from cnn_engine.session.queueing import start_now  # noqa: PLC0415 - imports pydantic

        if await self._try(lambda: start_now(run)):
            self.open(RunScreen(run))

    @work
    async def action_queue_up(self) -> None:
        """Move the queued run under the cursor up."""
        if (run := self._queued_run()) is not None:
            await self._try(lambda: move_up(run))

    @work
    async def action_queue_cancel(self) -> None:
        """Remove the run under the cursor from the queue."""
        run = self._queued_run()
        if run is not None and await self._try(lambda: cancel(run, by="key")):
            self.report(f"{run.id} is cancelled; resume starts it again")

    def _queued_run(self) -> RunDirectory | None:
        """Return the run under the cursor if it is queued; else report that it is not."""
        if (run := self._current_queued) is not None:
            return self._edits.directory(run)
        self.report("Only queued runs; in the form for a new run, ctrl+t puts it into the queue")
        return None

    async def _resume_series(self, group: RunGroup) -> None:
        """Train what is missing of a series in the background."""
        if group.status == "running":
            key = shown_key(self.app, "runs.watch")
            self.report(f"This series is already running; {key} watches it")
            return
        from cnn_engine.session.series import resume_series_in_background  # noqa: PLC0415 - imports pydantic

        first = RunDirectory(self._runs_dir / group.id)
        if await self._try(lambda: resume_series_in_background(first)):
            missing = group.planned - group.done
            self.report(f"Training {missing} of {group.planned} runs in the background")

    @work
    async def action_clone(self) -> None:
        """Ask for changes to the run's config, and train with it."""
        from cnn_engine.session.request import Request  # noqa: PLC0415 - imports pydantic
        from cnn_tui.dashboard.dialogs.new_run import NewRunDialog  # noqa: PLC0415 - imports pydantic

        if run := self.rows.current:
            directory = self._edits.directory(run)
            try:
                request = await in_thread(lambda: Request.from_run(directory))
            except UserError as error:
                self.report(str(error))
            else:
                await self._train(NewRunDialog(request, self._runs_dir))

    @work
    async def action_new(self) -> None:
        """Ask for a preset and changes to it, and train with it."""
        from cnn_tui.dashboard.dialogs.new_run import NewRunDialog  # noqa: PLC0415 - imports pydantic

        preset = await self.ask(preset_dialog(describe_presets()))
        if preset:
            await self._train(NewRunDialog.from_preset(preset, self._runs_dir))

    async def _train(self, dialog: ModalScreen[RunDirectory | None]) -> None:
        """Open the run that the dialog starts."""
        run = await self.ask(dialog)
        if run is None:
            return
        place = await in_thread(lambda: queue_place(run))
        if place is None:
            self.open(RunScreen(run))
            return
        await self._refresh_now()
        self.report(waiting_text(place, run))

    async def _try(self, edit: Callable[[], object]) -> bool:
        """Make a change in a thread, and show it; report the error and return False if it fails."""
        error_text = ""
        async with self._editing:
            try:
                await in_thread(edit)
            except UserError as error:
                error_text = str(error)
        await self._refresh_now()
        if error_text:
            self.report(error_text)
        return not error_text


def _read_piece(unread: Iterator[None]) -> bool:
    """Read summaries for `READ_SECONDS`; return True if there are no more."""
    deadline = time.monotonic() + READ_SECONDS
    return all(time.monotonic() < deadline for _ in unread)
