"""Several runs side by side, live or finished: their curves in one chart, and what differs."""

import asyncio
from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import ContentSwitcher

from cnn_engine.errors import UserError
from cnn_engine.results.comparison import compare
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import LIVE
from cnn_tui.charts.traces import LETTERS
from cnn_tui.dashboard.compared import (
    ComparedRun,
    TableRow,
    class_accuracy_rows,
    config_rows,
    metric_rows,
)
from cnn_tui.dashboard.dialogs.help import HelpScreen
from cnn_tui.dashboard.keys import Key, Scope, bindings_for
from cnn_tui.dashboard.screens.run import PIECE_SECONDS, POLL_SECONDS
from cnn_tui.dashboard.widgets.compare.comparison_table import ComparisonTable
from cnn_tui.dashboard.widgets.compare.overlay_chart import OverlayChart
from cnn_tui.dashboard.widgets.compare.verdicts import Verdicts
from cnn_tui.dashboard.widgets.key_bar import KeyBar
from cnn_tui.dashboard.widgets.panel import Lines
from cnn_tui.live.follower import Follower
from cnn_tui.text.safe import safe_text

MAX_RUNS = len(LETTERS)


class CompareScreen(Screen[None]):
    """Follows the logs of up to eight runs."""

    BINDINGS = bindings_for("compare")
    scopes: tuple[Scope, ...] = ("compare",)
    """Where the keys that work now have their place."""

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (70, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-short"), (30, "-tall")]

    DEFAULT_CSS = """
    CompareScreen {
        #title {
            height: 1;
            padding: 0 1;
            background: $panel;
        }
        ContentSwitcher {
            height: 1fr;
        }
        OverlayChart, ComparisonTable {
            border: round $border;
            border-title-color: $muted;
            padding: 0 1;
            height: 1fr;
        }
        ComparisonTable {
            padding: 0 0 0 1;
            overflow-y: auto;
            scrollbar-size: 0 1;
            scrollbar-gutter: stable;
            &:focus {
                border: round $primary;
            }
        }
        #figures {
            height: auto;
            max-height: 50%;
        }
        #verdicts {
            height: auto;
            max-height: 6;
            padding: 0 2;
            display: none;
        }
        &.-short #verdicts, &.-low #verdicts {
            max-height: 0;
        }
        &.-short #figures {
            max-height: 8;
        }
        &.-low {
            OverlayChart, ComparisonTable {
                border: none;
            }
            #figures {
                display: none;
            }
        }
    }
    """

    def __init__(self, runs: Sequence[RunDirectory]) -> None:
        """Compare runs, of which there are at most `MOST_RUNS`."""
        super().__init__()
        self._runs = [
            ComparedRun(Follower(run, trains_here=False), place) for place, run in enumerate(runs)
        ]
        self._judged: list[TestFinished | None] = []
        """Tests of the runs that the verdicts are of."""
        self._next_piece: Timer | None = None

    @property
    def _chart(self) -> OverlayChart:
        return self.query_one(OverlayChart)

    @property
    def _view(self) -> str:
        return self.query_one(ContentSwitcher).current or ""

    def compose(self) -> ComposeResult:
        """A title, one of the views, the keys."""
        yield Title(self._runs)
        with ContentSwitcher(initial="curves"):
            with Vertical(id="curves"):
                yield OverlayChart(self._runs)
                yield ComparisonTable(self._runs, self._figure_rows, id="figures")
                yield Verdicts(self._runs)
            yield ComparisonTable(
                self._runs, config_rows, "All have the same config.", id="settings"
            )
            yield ComparisonTable(self._runs, self._class_rows, "No classes yet.", id="by-class")
        yield KeyBar("compare")

    def on_mount(self) -> None:
        """Start to follow."""
        self.query_one("#figures", Lines).border_title = "Figures"
        self.query_one("#settings", Lines).border_title = "What was set differently"
        self.query_one(KeyBar).show(RunState())
        self.action_view("curves")
        self.call_after_refresh(self.poll)
        self.set_interval(POLL_SECONDS, self.poll)

    def _figure_rows(self, runs: Sequence[ComparedRun]) -> list[TableRow]:
        rows = metric_rows(runs)
        after = 1 + [row.label for row in rows].index("test accuracy")
        return [*rows[:after], *self.query_one(Verdicts).rows(), *rows[after:]]

    def _class_rows(self, runs: Sequence[ComparedRun]) -> list[TableRow]:
        title, rows = class_accuracy_rows(runs)
        table = self.query_one("#by-class", Lines)
        text = f"Accuracy by class, {title}: A, and the others against it in points"
        if table.border_title != text:
            table.border_title = text
        return rows

    def poll(self) -> None:
        """Take in what is new, and show it; while the terminal takes nothing, only take in."""
        for run in self._runs:
            run.follower.poll()
        if self._next_piece is not None:
            self._next_piece.stop()  # else each poll meanwhile would begin a sequence of its own
        if any(run.follower.has_more for run in self._runs):
            self._next_piece = self.set_timer(PIECE_SECONDS, self.poll)
        else:
            self._judge_if_tested()
            if self.app.can_draw():  # type: ignore[attr-defined]
                self._show()

    def _judge_if_tested(self) -> None:
        """Compare image by image when the first run and another have been tested, or anew."""
        tests = [run.state.test for run in self._runs]
        if tests != self._judged and tests[0] and any(tests[1:]):
            self._judged = tests
            self.run_worker(self._judge(), exclusive=True)

    async def _judge(self) -> None:
        """Read what each test said of its images, which may take a while, beside the screen."""
        directories = [run.follower.run for run in self._runs]
        try:
            found = await asyncio.to_thread(compare, directories)
        except (OSError, UserError) as error:  # a run was moved away meanwhile
            self.query_one(Verdicts).tell(
                (), f"not compared by image: {safe_text(str(error), 500)}"
            )
        else:
            self.query_one(Verdicts).tell(found.verdicts)
        self._show()

    def _show(self) -> None:
        for lines in self.query(Lines):
            if lines.is_on_screen:
                lines.redraw()

    # What the keys do.

    def action_view(self, name: str) -> None:
        """Show another view."""
        self.query_one(ContentSwitcher).current = name
        bar = self.query_one(KeyBar)
        bar.view = name
        bar.redraw()
        if name == "curves":
            self.set_focus(None)
        else:
            self.query_one(f"#{name}").focus()
        self._show()

    def action_move(self, by: int) -> None:
        """Move the cursor in the chart, or go through the runs in a table."""
        if self._view == "curves":
            self._chart.move(by)
        else:
            self.query_one(f"#{self._view}", ComparisonTable).move(by)

    def action_along(self) -> None:
        """Draw the curves along something else."""
        self._chart.next_axis()

    def action_series(self) -> None:
        """Draw other curves."""
        self._chart.next_series()

    def action_zoom(self, by: int) -> None:
        """Zoom in or out."""
        self._chart.zoom(by)

    def action_show_all(self) -> None:
        """Zoom out altogether."""
        self._chart.show_all()

    def action_follow(self) -> None:
        """Put the cursor away."""
        self._chart.follow()

    def action_log(self) -> None:
        """Change the scale."""
        self._chart.toggle_log()

    def action_smooth(self) -> None:
        """Change the smoothing."""
        self._chart.smooth()

    def action_help(self) -> None:
        """Show what the keys do."""
        self.app.push_screen(HelpScreen("compare", "panel"))

    def action_back(self) -> None:
        """Put the cursor away, else leave."""
        if self._view == "curves" and self._chart.view.cursor is not None:
            self._chart.follow()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Leave."""
        if len(self.app.screen_stack) > 2:
            self.app.pop_screen()
        else:
            self.app.exit()

    @on(KeyBar.Clicked)
    async def _clicked(self, event: KeyBar.Clicked) -> None:
        await self.press(event.key)

    async def press(self, key: Key) -> None:
        """Do what a key does."""
        await self.app.run_action(key.action, default_namespace=self)


class Title(Lines):
    """One line: what is compared."""

    def __init__(self, runs: Sequence[ComparedRun]) -> None:
        super().__init__(id="title")
        self._runs = runs

    def make(self, width: int, height: int) -> list[Content]:  # noqa: ARG002
        """The one line."""
        going = sum(run.status in LIVE for run in self._runs)
        text = f"{len(self._runs)} runs side by side" + (f", {going} going on" if going else "")
        return [Content.assemble(("cnn-tui", "bold $primary"), f"  {text}")]
