"""Train and validation loss over the epochs."""

from rich.text import Text
from textual.color import Color
from textual.content import Content

from cnn_engine.state import RunState
from cnn_tui.charts import ChartColors, loss_chart
from cnn_tui.widgets.panel import Panel


class LossChart(Panel):
    """Both curves in one chart; before there are any, what is being waited for."""

    def on_mount(self) -> None:
        """Name the curves."""
        self.border_title = "Loss by epoch"
        self.border_subtitle = "[$primary]━[/] train  [$secondary]━[/] validation"

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:
        """The chart's lines."""
        chart = loss_chart(state, width, height, self._colors())
        if not chart:
            text = "" if state.ended else "the curve starts with the first steps"
            return [Content("")] * (height // 2) + [Content.styled(text.center(width), "$faint")]
        return [Content.from_rich_text(line) for line in Text.from_ansi(chart).split("\n")]

    def _colors(self) -> ChartColors:
        variables = self.app.theme_variables
        train, val, axis = (
            Color.parse(variables[name]).rgb for name in ("primary", "secondary", "muted")
        )
        return ChartColors(train=train, val=val, axis=axis)
