"""Training and validation accuracy over the epochs."""

from textual.content import Content

from cnn_engine.runlog.state import RunState
from cnn_tui.charts.accuracy import draw_accuracy_chart
from cnn_tui.charts.axes import MARGIN, MIN_HEIGHT, MIN_WIDTH
from cnn_tui.charts.binning import Window
from cnn_tui.charts.end_labels import end_margin
from cnn_tui.charts.loss import axis_name, axis_steps, visible_window
from cnn_tui.dashboard.widgets.chart import Chart, message_lines, to_content


class AccuracyChart(Chart[RunState]):
    """Both accuracies in one chart, along the axis of the loss chart."""

    def titles(self, state: RunState) -> tuple[str, str]:
        """Return the title, with the unit of the axis."""
        return f"Accuracy in % by {axis_name(state)}", ""

    def depends_on(self, state: RunState) -> object:
        """Return the numbers of epochs and undos, and the end of the axis."""
        return len(state.epochs), state.undos, self._visible_window(state, 2), state.has_ended

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:
        """Return the chart, or a message before the first epoch is finished."""
        if width < MIN_WIDTH or height < MIN_HEIGHT:
            return []
        window, lines = self._visible_window(state, 2 * (width - MARGIN - end_margin(width))), None
        if window is not None:
            lines = draw_accuracy_chart(state, window, self.view, width, height)
        if lines is None:
            text = "" if state.has_ended else "available after the first epoch"
            return message_lines(text, width, height)
        return list(map(to_content, lines))

    def _visible_window(self, state: RunState, columns: int) -> Window | None:
        """Return the window of the loss chart; None before the first step."""
        if not state.curve:
            return None
        newest = state.curve[-1].step
        return visible_window(self.view, newest, axis_steps(state, newest), columns)
