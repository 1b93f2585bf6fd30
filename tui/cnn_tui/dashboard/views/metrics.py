"""View 6: charts of all series."""

from textual import getters, on
from textual.app import ComposeResult

from cnn_tui.dashboard.keys import bindings_for
from cnn_tui.dashboard.views.view import View
from cnn_tui.dashboard.widgets.chart import ChartActions
from cnn_tui.dashboard.widgets.filter_line import FilterLine
from cnn_tui.dashboard.widgets.metric_grid import MetricGrid


class MetricsView(ChartActions, View):
    """A grid of small charts, or one of them enlarged, and a line for the filter."""

    BINDINGS = bindings_for("metrics")
    chart = getters.query_one(MetricGrid)
    filter_line = getters.query_one(FilterLine)

    def compose(self) -> ComposeResult:
        """Yield the charts, and the filter below them."""
        yield MetricGrid()
        yield FilterLine("part of a name, e.g. val or grad norm")

    def back(self) -> bool:
        """Close the filter, else the enlarged chart, else the cursor; return False without any."""
        grid = self.chart.grid
        if self.filter_line.is_open or (grid.filter_text and not grid.is_enlarged):
            self._close_filter()
            self.chart.set_grid(filter_text="")
        elif grid.is_enlarged:
            self.chart.set_grid(is_enlarged=False)
        elif self.chart.view.cursor is not None:
            self.chart.follow()
        else:
            return False
        return True

    def action_filter(self) -> None:
        """Open the line for a filter."""
        self.filter_line.open(self.chart.grid.filter_text)

    @on(FilterLine.Changed)
    def _filter_changed(self, event: FilterLine.Changed) -> None:
        """Apply the filter as it is typed."""
        self.chart.set_grid(filter_text=event.text, is_enlarged=False)

    @on(FilterLine.Submitted)
    def _close_filter(self) -> None:
        self.filter_line.close()
        self.focus()

    def action_go(self, columns: int, rows: int) -> None:
        """Select another chart; if one is enlarged, left and right move the cursor."""
        if columns and self.chart.grid.is_enlarged:
            self.chart.move(columns)
        else:
            self.chart.select(columns, rows)

    def action_page(self, pages: int) -> None:
        """Select the chart some pages away."""
        self.chart.page(pages)

    def action_go_to_end(self, sign: int) -> None:
        """Select the first or last chart; if one is enlarged, move the cursor to that end."""
        if self.chart.grid.is_enlarged:
            self.chart.move(10_000 * sign)
        else:
            self.chart.select(1_000_000 * sign, 0)

    def action_move_epochs(self, epochs: int) -> None:
        """Move the cursor by epochs."""
        self.chart.move_epochs(epochs)

    def action_enlarge(self) -> None:
        """Show the selected chart alone, or the grid again."""
        self.chart.set_grid(is_enlarged=not self.chart.grid.is_enlarged)

    def action_resize_grid(self, columns: int, rows: int) -> None:
        """Show more or fewer columns and rows."""
        self.chart.resize_grid(columns, rows)
