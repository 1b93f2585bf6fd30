"""Train and validation loss over the epochs."""

from textual.content import Content

from cnn_engine.runlog.curve import Curve
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.axes import MARGIN, MIN_HEIGHT, MIN_WIDTH
from cnn_tui.charts.binning import BinnedCurve, Window, axis_epochs
from cnn_tui.charts.loss import (
    SMOOTHINGS,
    draw_loss_chart,
    visible_window,
)
from cnn_tui.dashboard.widgets.chart import Chart, content_of
from cnn_tui.dashboard.widgets.panel import Panel


class LossChart(Panel, Chart):  # the first is what Textual knows it as
    """Both curves in one chart, which keeps every spike; a cursor reads their values."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: BinnedCurve | None = None
        self._curve: Curve | None = None
        self._smoothing = 0

    def on_mount(self) -> None:
        """Name the panel."""
        self.border_title = "Loss by epoch"

    def depends_on(self, state: RunState) -> object:
        """Points, epochs and marks."""
        counts = (len(state.curve), len(state.epochs), len(state.markers), state.total_epochs)
        return (*counts, state.has_ended, state.steps_per_epoch)

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:
        """The chart's lines; before there are any, what is being waited for."""
        if width < MIN_WIDTH or height < MIN_HEIGHT:
            return []
        lines = None
        if state.curve and state.steps_per_epoch:
            columns = self._gathered(state, 2 * (width - MARGIN))
            lines = draw_loss_chart(state, columns, self.view, width, height)
        if lines is None:
            return _waiting(state, width, height)
        return [content_of(line) for line in lines]

    def _gathered(self, state: RunState, count: int) -> BinnedCurve:
        """The curve's columns: those drawn last and what is new, where the window is the same."""
        window = self._window(state, count)
        kept = self._columns
        # When training is taken back to an earlier point, the curve is another one.
        is_same = state.curve is self._curve and self._smoothing == self.view.smoothing
        if kept is None or kept.window != window or not is_same:
            self._smoothing, self._curve = self.view.smoothing, state.curve
            kept = self._columns = BinnedCurve(window, SMOOTHINGS[self._smoothing][1])
        kept.extend(state.curve)
        return kept

    def window(self) -> Window | None:
        """What is shown, in steps."""
        return self._columns.window if self._columns else None

    def newest(self) -> float:
        """The last step there is."""
        return float(self._state.curve[-1].step) if self._state and self._state.curve else 0.0

    def move_epochs(self, epochs: int) -> None:
        """Move the cursor by whole epochs."""
        if self._state is not None:
            self.move_by(epochs * self._state.steps_per_epoch)

    def _window(self, state: RunState, count: int) -> Window:
        newest, steps = state.curve[-1].step, state.steps_per_epoch
        whole = axis_epochs(newest / steps, state.total_epochs) * steps
        return visible_window(self.view, newest, max(whole, newest), count)


def _waiting(state: RunState, width: int, height: int) -> list[Content]:
    text = "" if state.has_ended else "the curve starts with the first steps"
    above = [Content("")] * ((height - 1) // 2)
    below = [Content("")] * (height - 1 - len(above))
    return [*above, Content.styled(text.center(width), "$muted"), *below]
