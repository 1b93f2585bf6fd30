"""1: how the run goes."""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.classes.class_grid import ClassGrid
from cnn_tui.dashboard.widgets.epoch_table import EpochTable
from cnn_tui.dashboard.widgets.event_list import EventList
from cnn_tui.dashboard.widgets.loss_chart import LossChart
from cnn_tui.dashboard.widgets.machine import Machine
from cnn_tui.dashboard.widgets.sparklines import Sparklines
from cnn_tui.dashboard.widgets.step_time import StepTime


class LiveView(View):
    """Curve and classes on the left; epochs, checkpoints and the machine on the right."""

    BINDINGS = bindings_for("live")

    def compose(self) -> ComposeResult:
        """The panels."""
        with Vertical(id="left"):
            yield LossChart()
            yield Sparklines()
            yield ClassGrid()
        with Vertical(id="right"):
            yield EpochTable()
            yield EventList()
            with Horizontal(id="resources") as resources:
                resources.border_title = "Step time · machine"
                yield StepTime()
                yield Machine()

    @property
    def _chart(self) -> LossChart:
        return self.query_one(LossChart)

    def back(self) -> bool:
        """Put the cursor away."""
        had_cursor = self._chart.view.cursor is not None
        self._chart.follow()
        return had_cursor

    def action_move(self, cells: int) -> None:
        """Move the cursor."""
        self._chart.move(cells)

    def action_move_epochs(self, epochs: int) -> None:
        """Move the cursor by epochs."""
        self._chart.move_epochs(epochs)

    def action_zoom(self, by: int) -> None:
        """Zoom in or out."""
        self._chart.zoom(by)

    def action_show_all(self) -> None:
        """Zoom out altogether."""
        self._chart.show_all()

    def action_follow(self) -> None:
        """Follow the newest."""
        self._chart.follow()

    def action_log(self) -> None:
        """Change the scale."""
        self._chart.toggle_log()

    def action_smooth(self) -> None:
        """Change the smoothing."""
        self._chart.smooth()
