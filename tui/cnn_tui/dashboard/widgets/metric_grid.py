"""A grid of small charts of all series, or one of them enlarged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.reactive import reactive

from cnn_engine.runlog.state import RunState
from cnn_tui.charts.binning import Window
from cnn_tui.charts.loss import axis_name, axis_steps, axis_unit, view_text, visible_window
from cnn_tui.charts.metric_chart import (
    MARGIN,
    MetricChart,
    draw_enlarged,
    draw_tile,
    draw_tile_axis,
    position_text,
)
from cnn_tui.charts.metric_groups import MetricGroup, groups_of
from cnn_tui.charts.run_metrics import BinnedMetrics, Metric, RunMetrics
from cnn_tui.dashboard.keys import with_keys
from cnn_tui.dashboard.widgets.chart import Chart, message_lines, to_content
from cnn_tui.text.safe import safe_text

GAP = 2
"""Cells between two charts."""

USUAL_WIDTH, USUAL_HEIGHT = 36, 6
"""Size that charts have about if there are many."""

MIN_TILE_WIDTH, MIN_TILE_HEIGHT = MARGIN + 10, 2
MIN_HEIGHT_WITH_BLANK = 5
"""Height of a chart from which on its last line is blank."""

VALUE_WIDTH = 14
"""Cells of a chart's title that its value and the space around it take."""

WIDTH_PER_HEIGHT = 4
"""Usual proportion of a chart."""

HOW_TO_LOG = "no values yet: log them with run.log({name: value})"


class GridLayout(NamedTuple):
    """The number of charts side by side and one below the other."""

    columns: int
    rows: int

    @property
    def capacity(self) -> int:
        """Charts in view."""
        return self.columns * self.rows


@dataclass(frozen=True, kw_only=True)
class GridView:
    """The charts in view, and how they are arranged."""

    selected: str = ""
    """Title of the selected chart; the first one if there is no such chart."""

    columns: int = 0
    """Number of columns; 0 to fit the size."""

    rows: int = 0
    """Number of rows; 0 to fit the size."""

    filter_text: str = ""
    """Words that the name of a shown chart contains."""

    is_enlarged: bool = False
    """True to show the selected chart alone."""


class MetricGrid(Chart[RunState]):
    """One chart for each group of series. Only those in view are binned and drawn."""

    TITLE = "Metrics"

    grid: reactive[GridView] = reactive(GridView(), repaint=False)

    def __init__(self) -> None:
        super().__init__()
        self._source, self._binned = RunMetrics(), BinnedMetrics()
        self._metrics: dict[str, Metric] = {}
        self._groups: list[MetricGroup] = []
        self._window: Window | None = None
        self._layout = GridLayout(1, 1)
        self._top = 0
        """Index of the first row in view."""

    def watch_grid(self) -> None:
        """Draw the new arrangement."""
        self._redraw()

    def depends_on(self, state: RunState) -> object:
        """Return the numbers of events that have values, and of undos."""
        counts = (state.series.event_count, len(state.curve), len(state.lr_curve))
        axis = (state.total_epochs, state.steps_per_epoch)
        ends = (state.undos, len(state.markers), state.has_ended)
        return (id(state.series), *counts, len(state.epochs), *axis, *ends)

    def show(self, data: RunState) -> None:
        """Draw the run's series."""
        self._read(data)
        super().show(data)

    def _read(self, state: RunState) -> None:
        metrics = self._source.read(state)
        if metrics.keys() != self._metrics.keys():
            self._groups = groups_of(metrics)
        self._metrics = metrics

    @property
    def groups(self) -> list[MetricGroup]:
        """The charts that the filter matches."""
        words = self.grid.filter_text.lower().split()
        if not words:
            return self._groups
        return [group for group in self._groups if _matches(group, words)]

    def _selected(self, groups: Sequence[MetricGroup]) -> int:
        """Return the index of the selected chart; 0 if it is not among these."""
        titles = (index for index, group in enumerate(groups) if group.title == self.grid.selected)
        return next(titles, 0)

    # Actions of keys.

    def set_grid(self, **changes: float | str) -> None:
        """Change fields of the arrangement."""
        self.grid = replace(self.grid, **changes)  # type: ignore[arg-type]

    def select(self, columns: int, rows: int) -> None:
        """Select another chart; a row that does not exist is ignored."""
        groups, per_row = self.groups, 1 if self.grid.is_enlarged else self._layout.columns
        target = self._selected(groups) + columns + rows * per_row
        if groups and (columns or 0 <= target < len(groups)):
            self.set_grid(selected=groups[max(0, min(target, len(groups) - 1))].title)

    def page(self, pages: int) -> None:
        """Select the chart some pages away."""
        if self.grid.is_enlarged:
            self.select(pages, 0)
        else:
            self._top = max(0, self._top + pages * self._layout.rows)  # corrected when it is drawn
            self.select(pages * self._layout.capacity, 0)

    def resize_grid(self, columns: int, rows: int) -> None:
        """Show more or fewer columns and rows."""
        if self._data is None:
            return
        width, height = self.scrollable_content_region.size
        most = _most_charts(width, height)
        layout = self._layout
        if columns:
            self.set_grid(columns=min(max(layout.columns + columns, 1), most.columns))
        if rows:
            self.set_grid(rows=min(max(layout.rows + rows, 1), most.rows))

    def window(self) -> Window | None:
        """Return the window in view, in steps."""
        return self._window

    def newest(self) -> float:
        """Return the last step with a value."""
        curves = (metric.curve for metric in self._metrics.values())
        return float(max((curve.steps[-1] for curve in curves if curve), default=0))

    def move_epochs(self, epochs: int) -> None:
        """Move the cursor by whole epochs, or by ten cells if their length is unknown."""
        if self._data is not None and self._data.steps_per_epoch:
            self.move_by(epochs * self._data.steps_per_epoch)
        else:
            self.move(10 * epochs)

    def on_click(self, event: events.Click) -> None:
        """Select the chart under the mouse, or enlarge it if it is selected."""
        groups, offset = self.groups, event.get_content_offset(self)
        if offset is None or self.grid.is_enlarged:
            return
        width, height = self.scrollable_content_region.size
        columns, rows = self._layout
        row = min(offset.y * rows // max(1, height - _has_axis(height)), rows - 1)
        index = (self._top + row) * columns + min(offset.x * columns // (width + GAP), columns - 1)
        if index == self._selected(groups):
            self.set_grid(is_enlarged=True)
        elif index < len(groups):
            self.set_grid(selected=groups[index].title)

    # Drawing.

    def titles(self, state: RunState) -> tuple[str, str]:
        """Return the number of charts with the filter, and the cursor or the view."""
        if not self._groups:
            return self.TITLE, ""
        groups, count = self.groups, len(self._groups)
        text = safe_text(self.grid.filter_text, 60)
        charts = "1 chart" if count == 1 else f"{count:,} charts"
        shown = f"{len(groups):,} of {count:,} · /{text}" if text else charts
        unit = float(axis_unit(state))
        axis = axis_name(state)
        title = f"{self.TITLE} by {axis} ─ {shown}"
        if self.grid.is_enlarged and groups:
            index = self._selected(groups)
            name = safe_text(groups[index].title, 100)
            title = f"{name} by {axis} ─ {index + 1:,} of {len(groups):,}"
            return title, ""  # the chart has a legend
        self._arrange(groups, *self.scrollable_content_region.size)
        cursor = self.view.cursor
        position = "" if cursor is None else position_text(cursor, unit)
        parts = [self._cut_name(groups), position, view_text(self.view), self._page_text(groups)]
        return title, " · ".join(filter(None, parts))

    def _cut_name(self, groups: list[MetricGroup]) -> str:
        """Return the name of the selected chart if its title has no room for it."""
        name = groups[self._selected(groups)].title if groups else ""
        width = self.scrollable_content_region.width // self._layout.columns
        return safe_text(name, 100) if cell_len(name) > width - VALUE_WIDTH else ""

    def _page_text(self, groups: list[MetricGroup]) -> str:
        """Return which charts are in view, if not all are."""
        first, capacity = self._top * self._layout.columns, self._layout.capacity
        if len(groups) <= capacity:
            return ""
        last = min(first + capacity, len(groups))
        return f"{first + 1:,}–{last:,}" if capacity > 1 else f"{last:,} of {len(groups):,}"

    def draw(self, state: RunState, width: int, height: int) -> list[Content]:
        """Return the charts in view, or a message before the first value."""
        groups = self.groups
        if width < MIN_TILE_WIDTH or height < MIN_TILE_HEIGHT:
            return []
        if not groups:
            return message_lines(self._message(state), width, height)
        index = self._selected(groups)
        if self.grid.is_enlarged:
            (chart,) = self._charts(state, [groups[index]], width)
            return list(map(to_content, draw_enlarged(chart, width, height)))
        return self._tiles(state, groups, index, width, height)

    def _message(self, state: RunState) -> str:
        if self._groups:
            return with_keys(self.app, "no matching name; {run.back} clears the filter")
        if state.has_ended:
            return "no values were logged"
        return HOW_TO_LOG if state.loop else "waiting for the first steps"

    def _tiles(
        self, state: RunState, groups: list[MetricGroup], selected: int, width: int, height: int
    ) -> list[Content]:
        layout, has_axis = self._arrange(groups, width, height), _has_axis(height)
        height -= has_axis
        first = self._top * layout.columns
        tile_width = (width + GAP) // layout.columns - GAP
        charts = self._charts(state, groups[first : first + layout.capacity], tile_width)
        gap, lines = Content(" " * GAP), list[Content]()
        heights = _tile_heights(height, layout.rows)
        for row, tile_height in enumerate(heights):
            start = row * layout.columns
            tiles = [
                draw_tile(
                    chart, tile_width, tile_height, is_selected=first + start + number == selected
                )
                for number, chart in enumerate(charts[start : start + layout.columns])
            ]
            if lines and sum(heights) < height:
                lines.append(Content(""))
            lines += [gap.join(map(to_content, pieces)) for pieces in zip(*tiles, strict=True)]
        if has_axis:
            axis = to_content(draw_tile_axis(charts[0].window, charts[0].unit))
            lines.append(gap.join([axis] * min(layout.columns, len(charts))))
        return lines

    def _arrange(self, groups: list[MetricGroup], width: int, height: int) -> GridLayout:
        """Return the layout, and scroll to the row of the selected chart."""
        layout = grid_layout(len(groups), width, height - _has_axis(height), self.grid)
        row = self._selected(groups) // layout.columns
        last_top = max(0, -(-len(groups) // layout.columns) - layout.rows)
        self._top = min(max(self._top, row - layout.rows + 1), row, last_top)
        self._layout = layout
        return layout

    def _charts(self, state: RunState, groups: list[MetricGroup], width: int) -> list[MetricChart]:
        """Return the charts of these groups, with binned curves."""
        window = self._window = self._visible_window(state, 2 * (width - MARGIN))
        metrics = {line.name: self._metrics[line.name] for group in groups for line in group.lines}
        binned = self._binned.bin(metrics, window, self.view.smoothing)
        unit = float(axis_unit(state))
        return [
            MetricChart(group, metrics, binned, self.view, unit, state.markers) for group in groups
        ]

    def _visible_window(self, state: RunState, columns: int) -> Window:
        """Return the window in view, of a whole as long as that of the loss chart."""
        newest = self.newest()
        whole = axis_steps(state, int(newest))
        return visible_window(self.view, newest, max(whole, newest, 1.0), columns)


def grid_layout(count: int, width: int, height: int, view: GridView) -> GridLayout:
    """Return the layout for a number of charts: as large as fits, but many in columns and rows."""
    count = max(1, count)
    most = _most_charts(width, height)
    columns = max(1, min(round(width / USUAL_WIDTH), most.columns, count))
    rows = max(1, min(round(height / USUAL_HEIGHT), most.rows))
    if not view.columns and not view.rows and count <= columns * rows:
        layouts = [GridLayout(number, -(-count // number)) for number in range(1, columns + 1)]
        return max(
            (layout for layout in layouts if layout.rows <= rows or layout.columns == columns),
            key=lambda layout: min(width / layout.columns / WIDTH_PER_HEIGHT, height / layout.rows),
        )
    columns = min(view.columns or columns, most.columns, count)
    rows = min(view.rows or rows, most.rows, -(-count // columns))
    return GridLayout(columns, rows)


def _has_axis(height: int) -> bool:
    """Return True if there is a line for the numbers of the axis."""
    return height > 2 * MIN_TILE_HEIGHT


def _most_charts(width: int, height: int) -> GridLayout:
    """Return the largest number of columns and rows of the smallest charts."""
    columns = (width + GAP) // (MIN_TILE_WIDTH + GAP)
    return GridLayout(max(1, columns), max(1, height // MIN_TILE_HEIGHT))


def _tile_heights(height: int, rows: int) -> list[int]:
    """Return the heights of the rows of charts, without blank lines between rows."""
    has_blank = height // rows >= MIN_HEIGHT_WITH_BLANK
    height += has_blank  # none after the last row
    return [height * (row + 1) // rows - height * row // rows - has_blank for row in range(rows)]


def _matches(group: MetricGroup, words: list[str]) -> bool:
    """Return True if the title or a series' name contains all words."""
    names = [group.title, *(line.name for line in group.lines)]
    return any(all(word in name.lower() for word in words) for name in names)
