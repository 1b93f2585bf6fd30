"""Several runs side by side, live or finished: curves in one chart, metrics and differences."""

from collections.abc import Sequence
from itertools import chain, repeat

from textual import getters, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import ContentSwitcher
from textual.worker import Worker

from cnn_engine.errors import UserError
from cnn_engine.results.comparison import compare
from cnn_engine.results.group_comparison import RunSet, compare_sets
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
from cnn_tui.dashboard.dialogs.choice import Answer, ChoiceDialog
from cnn_tui.dashboard.keys import Scope, bindings_for
from cnn_tui.dashboard.screens.screen import POLL_SECONDS, DashboardScreen
from cnn_tui.dashboard.widgets.chart import ChartActions
from cnn_tui.dashboard.widgets.compare.comparison_table import ComparisonTable, TableContent
from cnn_tui.dashboard.widgets.compare.overlay_chart import OverlayChart
from cnn_tui.dashboard.widgets.compare.verdicts import VerdictList, Verdicts
from cnn_tui.dashboard.widgets.key_bar import KeyBar
from cnn_tui.dashboard.widgets.panel import Panel
from cnn_tui.live.follower import Follower
from cnn_tui.live.threads import in_thread
from cnn_tui.text.safe import safe_text

MAX_RUNS = len(LETTERS)


class CompareScreen(ChartActions, DashboardScreen):
    """Follows the logs of up to `MAX_RUNS` runs and compares them."""

    BINDINGS = bindings_for("compare")
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (70, "-wide")]

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
        #metrics {
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
        &.-short #metrics {
            max-height: 8;
        }
        &.-low {
            OverlayChart, ComparisonTable {
                border: none;
            }
            #metrics {
                display: none;
            }
        }
    }
    """

    scopes: tuple[Scope, ...] = ("compare", "panel")

    chart = getters.query_one(OverlayChart)
    views = getters.query_one(ContentSwitcher)
    verdicts = getters.query_one(Verdicts)

    def __init__(self, runs: Sequence[RunDirectory | RunSet]) -> None:
        """Compare at most `MAX_RUNS` runs or sets of runs."""
        super().__init__()
        self._sets = [
            RunSet(run.id, (run,)) if isinstance(run, RunDirectory) else run for run in runs
        ]
        self._runs = [_compared(each, index) for index, each in enumerate(self._sets)]
        self._compared_tests: list[TestFinished | None] = []
        """Tests that the verdicts were computed from."""
        self._reading: Worker[None] | None = None
        """Reads the logs; None if it is not reading."""

    @property
    def shown_view(self) -> str:
        """Id of the view that is shown."""
        return self.views.current or ""

    def compose(self) -> ComposeResult:
        """Yield the title, the views, the keys."""
        yield Title(id="title")
        with ContentSwitcher(initial="curves"):
            with Vertical(id="curves"):
                yield OverlayChart(self._runs)
                yield ComparisonTable(self._runs, id="metrics")
                yield Verdicts(self._runs)
            yield ComparisonTable(self._runs, "All have the same config.", id="config")
            yield ComparisonTable(self._runs, "No classes yet.", id="by-class")
        yield KeyBar()

    def on_mount(self) -> None:
        """Start to follow the logs."""
        self.action_show_view("curves")
        self.call_after_refresh(self.poll)
        self.set_interval(POLL_SECONDS, self.poll)

    def poll(self) -> None:
        """Start to read new events and show them, unless the previous read is not finished."""
        if self._reading is None:
            self._reading = self.run_worker(self._read())

    async def _read(self) -> None:
        """Read to the end in a thread, and show it; keys are handled meanwhile."""
        followers = [follower for run in self._runs for follower in run.followers]
        has_more = True
        while has_more:
            batches = await in_thread(lambda: [follower.read() for follower in followers])
            for follower, batch in zip(followers, batches, strict=True):
                follower.apply(batch)
            has_more = any(batch.has_more for batch in batches)
        if not self.is_open:
            return
        self._reading = None
        self._compare_tests()
        if self.can_draw():
            self._show()

    def _compare_tests(self) -> None:
        """Compare image by image when the first run and another have new test results."""
        tests = [state.test for run in self._runs for state in run.states]
        first = len(self._runs[0].states)
        if tests != self._compared_tests and any(tests[:first]) and any(tests[first:]):
            self._compared_tests = tests
            self.run_worker(self._compute_verdicts(), group="verdicts", exclusive=True)

    async def _compute_verdicts(self) -> None:
        """Compare the predictions of all tests in a thread, because that may take seconds."""
        try:
            found = await in_thread(self._find_verdicts)
        except (OSError, UserError) as error:  # a run was moved or deleted in the meantime
            reason = f"not compared by image: {safe_text(str(error), 500)}"
            self.verdicts.show(VerdictList(reason=reason))
        else:
            self.verdicts.show(found)
        self._show()

    def _find_verdicts(self) -> VerdictList:
        """Return the verdicts: of runs by image, with a series of the means where that is valid."""
        if any(each.group for each in self._sets):
            return VerdictList(set_verdicts=compare_sets(self._sets).verdicts)
        return VerdictList(compare([run for each in self._sets for run in each.runs]).verdicts)

    def _show(self) -> None:
        """Show the runs in the panels of the current view."""
        self.query_one(Title).show(self._runs)
        if self.shown_view == "curves":
            self.chart.show(self._runs)
            self._show_table(
                "metrics", "Metrics", metric_rows(self._runs, self.verdicts.table_rows())
            )
        elif self.shown_view == "config":
            self._show_table("config", "Config differences", config_rows(self._runs))
        else:
            split, rows = class_accuracy_rows(self._runs)
            title = f"Accuracy by class, {split}: A, and the others' difference to A in points"
            self._show_table("by-class", title, rows)

    def _show_table(self, name: str, title: str, rows: Sequence[TableRow]) -> None:
        self.query_one(f"#{name}", ComparisonTable).show(TableContent(title, rows))

    def action_show_view(self, name: str) -> None:
        """Show a view."""
        self.views.current = name
        if name == "curves":
            self.set_focus(None)
        else:
            self.query_one(f"#{name}").focus()
        self.refresh_bindings()
        self._show()

    def action_move(self, columns: int) -> None:
        """Move the cursor in the chart, or scroll through the runs of a table."""
        if self.shown_view == "curves":
            self.chart.move(columns)
        else:
            self.query_one(f"#{self.shown_view}", ComparisonTable).move(columns)

    def action_next_axis(self) -> None:
        """Change the x axis."""
        self.chart.next_axis()

    def action_next_metric(self) -> None:
        """Change the curves."""
        self.chart.next_metric()

    @work
    async def action_choose_metric(self) -> None:
        """Ask which curves to draw."""
        choices = self.chart.choices
        keys = chain("123456789", repeat(""))
        answers = [
            Answer(key, safe_text(series or metric, 60), str(index))
            for index, ((metric, series), key) in enumerate(zip(choices, keys, strict=False))
        ]
        question = "Series of at least two of the runs follow the losses and the accuracy."
        if chosen := await self.ask(ChoiceDialog("Which curves?", question, *answers)):
            self.chart.choose(*choices[int(chosen)])

    def action_back(self) -> None:
        """Clear the cursor, else unfocus a table beside the curves, else close the screen."""
        if self.shown_view == "curves" and self.chart.view.cursor is not None:
            self.chart.follow()
        elif self.shown_view == "curves" and self.focused is not None:
            self.set_focus(None)
        else:
            super().action_back()


def _compared(each: RunSet, index: int) -> ComparedRun:
    first, *others = (Follower(run, trains_here=False) for run in each.runs)
    return ComparedRun(first, index, others, each.name if each.group else "")


class Title(Panel[Sequence[ComparedRun]]):
    """The title line: the number of compared runs, and how many are running."""

    DEFAULT_CSS = """
    Title {
        border: none;
    }
    """

    def draw(self, runs: Sequence[ComparedRun], width: int, height: int) -> list[Content]:  # noqa: ARG002
        """Return one line."""
        running = sum(run.status in LIVE for run in runs)
        noun = "runs and series" if any(run.is_set for run in runs) else "runs"
        text = f"Comparing {len(runs)} {noun}" + (f", {running} running" if running else "")
        return [Content.assemble(("cnn-tui", "bold $primary"), f"  {text}")]
