"""View 1: curves, epochs, checkpoints, step time and machine."""

from contextlib import suppress

from textual import getters, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from cnn_engine.errors import UserError
from cnn_engine.results.mistakes import read_mistakes
from cnn_engine.runlog.events import TestFinished
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.charts.loss import ChartView
from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.accuracy_chart import AccuracyChart
from cnn_tui.dashboard.widgets.chart import ChartActions
from cnn_tui.dashboard.widgets.classes.class_grid import ClassGrid
from cnn_tui.dashboard.widgets.epoch_table import EpochTable
from cnn_tui.dashboard.widgets.event_list import EventList, has_events
from cnn_tui.dashboard.widgets.loss_chart import LossChart
from cnn_tui.dashboard.widgets.machine import Machine
from cnn_tui.dashboard.widgets.metric_grid import MetricGrid
from cnn_tui.dashboard.widgets.processes import Processes
from cnn_tui.dashboard.widgets.run_result import RunResult
from cnn_tui.dashboard.widgets.sparklines import Sparklines
from cnn_tui.dashboard.widgets.step_time import StepTime
from cnn_tui.live.threads import in_thread

MANY_PROCESSES = 5
"""Number of processes that fit beside the step time on a wide terminal."""


def has_counts(state: RunState) -> bool:
    """Return True if there are results by class."""
    counts = state.latest_counts
    return counts is not None and bool(counts.total)


class LiveView(ChartActions, View):
    """Losses and classes on the left; epochs, checkpoints and the machine on the right.

    Without epochs, the checkpoints and the machine are below the curves.
    """

    BINDINGS = bindings_for("live")
    loss_chart = getters.query_one(LossChart)
    metric_grid = getters.query_one(MetricGrid)
    resources = getters.query_one("#resources", Horizontal)

    def __init__(self, run: RunDirectory, *, id: str) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self._run = run
        self._shown_test: TestFinished | None = None

    @property
    def chart(self) -> LossChart | MetricGrid:
        """The chart that the keys change."""
        return self.metric_grid if self.has_class("-series") else self.loss_chart

    def compose(self) -> ComposeResult:
        """Yield the panels."""
        with Vertical(id="left"):
            yield LossChart()
            yield MetricGrid()
            yield AccuracyChart()
            yield Sparklines()
            yield ClassGrid()
        with Vertical(id="right"):
            yield EpochTable()
            yield EventList()
            with Horizontal(id="resources"):
                yield StepTime()
                yield Machine()
            yield RunResult(has_colors=self.app.can_draw_images)  # type: ignore[attr-defined]
            yield Processes()

    def on_mount(self) -> None:
        """Give the accuracy chart the zoom and the cursor of the loss chart."""
        self.watch(self.loss_chart, "view", self._share_view)

    def show(self, state: RunState) -> None:
        """Show the series in place of losses that a loop does not log, and no empty panels."""
        is_own, has_parts = state.is_own, bool(state.is_own or state.part_seconds)
        has_losses = is_own or state.curve or state.best
        self.set_class(bool(state.series and not has_losses), "-series")
        has_epochs = state.epochs or (has_losses and (is_own or state.total_epochs))
        self.set_class(not has_epochs, "-no-epochs")
        self.set_class(not (is_own or has_events(state)), "-no-events")
        self.set_class(not (is_own or has_counts(state)), "-no-classes")
        self.set_class(not (has_parts or state.machine), "-no-machine")
        self.set_class(not has_parts, "-no-parts")
        count = len(state.joined.hosts) if state.joined else 0
        self.set_class(count > 1, "-processes")
        self.set_class(count > MANY_PROCESSES, "-many-processes")
        self._show_result(state)
        self.resources.border_title = "Step time · machine" if has_parts else "Machine"
        super().show(state)

    def _show_result(self, state: RunState) -> None:
        """Show the result in place of the machine once the run has ended with a test."""
        test = state.test if state.is_own and state.has_ended else None
        self.set_class(test is not None, "-result")
        if test is not None and test is not self._shown_test:
            self._read_mistakes(test)
        self._shown_test = test

    @work(exclusive=True)
    async def _read_mistakes(self, test: TestFinished) -> None:
        """Show the mistakes of a test, if they can be read; view 3 says why they cannot."""
        with suppress(UserError):
            mistakes = await in_thread(lambda: read_mistakes(self._run, test))
            self.query_one(RunResult).mistakes = mistakes

    def _share_view(self, view: ChartView) -> None:
        self.query_one(AccuracyChart).view = view

    def action_toggle_accuracy(self) -> None:
        """Show the accuracy in place of the loss, or the loss again."""
        self.toggle_class("-accuracy")

    def back(self) -> bool:
        """Clear the cursor; return False if there is none."""
        had_cursor = self.chart.view.cursor is not None
        self.chart.follow()
        return had_cursor

    def action_move_epochs(self, epochs: int) -> None:
        """Move the cursor by epochs."""
        self.chart.move_epochs(epochs)
