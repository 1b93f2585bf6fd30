"""Training and validation loss over the epochs."""

from textual.content import Content

from cnn_engine.runlog.curve import Curve
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.axes import MARGIN, MIN_HEIGHT, MIN_WIDTH
from cnn_tui.charts.binning import BinnedCurve, Window
from cnn_tui.charts.end_labels import end_margin
from cnn_tui.charts.loss import (
    SMOOTHINGS,
    axis_name,
    axis_steps,
    axis_unit,
    draw_loss_chart,
    visible_window,
)
from cnn_tui.dashboard.widgets.chart import Chart, message_lines, to_content


class LossChart(Chart[RunState]):
    """Both losses in one chart that shows every spike; a cursor reads their values."""

    TITLE = "Loss by epoch"

    def __init__(self) -> None:
        super().__init__()
        self._binned: BinnedCurve | None = None
        self._curve: Curve | None = None
        self._smoothing = 0

    def titles(self, state: RunState) -> tuple[str, str]:
        """Return the title, with the unit of the axis."""
        return f"Loss by {axis_name(state)}", ""

    def depends_on(self, state: RunState) -> object:
        """Return the numbers of points, epochs, markers and undos."""
        counts = (len(state.curve), len(state.epochs), len(state.markers), state.total_epochs)
        return (*counts, state.undos, state.has_ended, state.steps_per_epoch)

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:
        """Return the chart, or a message before the first loss."""
        if width < MIN_WIDTH or height < MIN_HEIGHT:
            return []
        lines = None
        if state.curve:
            binned = self._bin(state, 2 * (width - MARGIN - end_margin(width)))
            lines = draw_loss_chart(state, binned, self.view, width, height)
        if lines is None:
            text = "" if state.has_ended else "waiting for the first steps"
            return message_lines(text, width, height)
        return list(map(to_content, lines))

    def _bin(self, state: RunState, columns: int) -> BinnedCurve:
        """Return the binned curve; while the window is the same, only new points are added."""
        window = self._visible_window(state, columns)
        binned = self._binned
        # A rollback to an earlier point replaces the curve.
        is_same = state.curve is self._curve and self._smoothing == self.view.smoothing
        if binned is None or binned.window != window or not is_same:
            self._smoothing, self._curve = self.view.smoothing, state.curve
            binned = self._binned = BinnedCurve(window, SMOOTHINGS[self._smoothing][1])
        binned.extend(state.curve)
        return binned

    def _visible_window(self, state: RunState, columns: int) -> Window:
        newest = state.curve[-1].step
        return visible_window(self.view, newest, axis_steps(state, newest), columns)

    def window(self) -> Window | None:
        """Return the window in view, in steps."""
        return self._binned.window if self._binned else None

    def newest(self) -> float:
        """Return the last step."""
        return float(self._data.curve[-1].step) if self._data and self._data.curve else 0.0

    def move_epochs(self, epochs: int) -> None:
        """Move the cursor by whole epochs."""
        if self._data is not None:
            self.move_by(epochs * axis_unit(self._data))
