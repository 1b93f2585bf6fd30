"""Several runs side by side, live or finished: their curves in one chart, and what differs."""

import asyncio
from collections.abc import Sequence

from textual import getters, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import ContentSwitcher

from cnn_engine.errors import UserError
from cnn_engine.results.comparison import compare
from cnn_engine.runlog.events import TestFinished
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
from cnn_tui.dashboard.widgets.chart import ChartActions
from cnn_tui.dashboard.widgets.compare.comparison_table import ComparisonTable, TableContent
from cnn_tui.dashboard.widgets.compare.overlay_chart import OverlayChart
from cnn_tui.dashboard.widgets.compare.verdicts import VerdictList, Verdicts
from cnn_tui.dashboard.widgets.key_bar import KeyBar
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.live.follower import Follower
from cnn_tui.text.safe import safe_text

MAX_RUNS = len(LETTERS)


class CompareScreen(ChartActions, Screen[None]):
    """Follows the logs of up to eight runs."""

    BINDINGS = bindings_for("compare")
    chart = getters.query_one(OverlayChart)
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
            height: 1fr;
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
    def _view(self) -> str:
        return self.query_one(ContentSwitcher).current or ""

    def compose(self) -> ComposeResult:
        """A title, one of the views, the keys."""
        yield Title(id="title")
        with ContentSwitcher(initial="curves"):
            with Vertical(id="curves"):
                yield OverlayChart(self._runs)
                yield ComparisonTable(self._runs, id="figures")
                yield Verdicts(self._runs)
            yield ComparisonTable(self._runs, "All have the same config.", id="settings")
            yield ComparisonTable(self._runs, "No classes yet.", id="by-class")
        yield KeyBar("compare", view="curves")

    def on_mount(self) -> None:
        """Start to follow."""
        self.action_view("curves")
        self.call_after_refresh(self.poll)
        self.set_interval(POLL_SECONDS, self.poll)

    def _metric_rows(self) -> list[TableRow]:
        rows = metric_rows(self._runs)
        after = 1 + [row.label for row in rows].index("test accuracy")
        return [*rows[:after], *self.query_one(Verdicts).table_rows(), *rows[after:]]

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
            reason = f"not compared by image: {safe_text(str(error), 500)}"
            self.query_one(Verdicts).show(VerdictList(reason=reason))
        else:
            self.query_one(Verdicts).show(VerdictList(found.verdicts))
        self._show()

    def _show(self) -> None:
        """Show the runs in the panels of the current view."""
        self.query_one(Title).show(self._runs)
        if self._view == "curves":
            self.chart.show(self._runs)
            self._show_table("figures", "Metrics", self._metric_rows())
        elif self._view == "settings":
            self._show_table("settings", "Config differences", config_rows(self._runs))
        else:
            split, rows = class_accuracy_rows(self._runs)
            title = f"Accuracy by class, {split}: A, and the others' difference to A in points"
            self._show_table("by-class", title, rows)

    def _show_table(self, name: str, title: str, rows: Sequence[TableRow]) -> None:
        self.query_one(f"#{name}", ComparisonTable).show(TableContent(title, rows))

    # What the keys do.

    def action_view(self, name: str) -> None:
        """Show another view."""
        self.query_one(ContentSwitcher).current = name
        self.query_one(KeyBar).view = name
        if name == "curves":
            self.set_focus(None)
        else:
            self.query_one(f"#{name}").focus()
        self._show()

    def action_move(self, cells: int) -> None:
        """Move the cursor in the chart, or scroll through the runs of a table."""
        if self._view == "curves":
            self.chart.move(cells)
        else:
            self.query_one(f"#{self._view}", ComparisonTable).move(cells)

    def action_along(self) -> None:
        """Draw the curves along something else."""
        self.chart.next_axis()

    def action_series(self) -> None:
        """Draw other curves."""
        self.chart.next_metric()

    def action_help(self) -> None:
        """Show what the keys do."""
        self.app.push_screen(HelpScreen("compare", "panel"))

    def action_back(self) -> None:
        """Put the cursor away, else leave."""
        if self._view == "curves" and self.chart.view.cursor is not None:
            self.chart.follow()
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


class Title(Panel[Sequence[ComparedRun]]):
    """The number of compared runs."""

    DEFAULT_CSS = """
    Title {
        border: none;
    }
    """

    def draw(self, runs: Sequence[ComparedRun], width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return one line."""
        running = sum(run.status in LIVE for run in runs)
        text = f"Comparing {len(runs)} runs" + (f", {running} running" if running else "")
        return [Content.assemble(("cnn-tui", "bold $primary"), f"  {text}")]
