"""The base of charts: curves that are zoomed, smoothed, and read with a cursor."""

from dataclasses import replace
from itertools import groupby
from typing import Any

from textual.content import Content
from textual.reactive import reactive

from cnn_tui.charts.axes import StyledCells
from cnn_tui.charts.binning import Window
from cnn_tui.charts.loss import MAX_ZOOM, SMOOTHINGS, ChartView
from cnn_tui.dashboard.widgets.panel import Data, Panel


class Chart(Panel[Data]):
    """Curves along an axis; a window of the axis is in view."""

    view: reactive[ChartView] = reactive(ChartView(), repaint=False)
    """Zoom, cursor, scale and smoothing."""

    def watch_view(self) -> None:
        """Draw with the new view."""
        self._redraw()

    def window(self) -> Window | None:
        """Return the part of the axis in view; None before the first drawing."""
        raise NotImplementedError

    def newest(self) -> float:
        """Return the end of the curves, in the unit of the window."""
        raise NotImplementedError

    def zoom(self, steps: int) -> None:
        """Halve the window `steps` times, or double it for a negative number."""
        self.set_view(zoom=min(max(self.view.zoom + steps, 0), MAX_ZOOM))

    def show_all(self) -> None:
        """Zoom out to the whole run."""
        self.set_view(zoom=0)

    def follow(self) -> None:
        """Clear the cursor, and follow the newest point."""
        self.set_view(cursor=None)

    def move(self, cells: float) -> None:
        """Move the cursor by cells; it starts at the newest point."""
        if window := self.window():
            self.move_by(cells * 2 * (window.last - window.first) / window.columns)

    def move_by(self, distance: float) -> None:
        """Move the cursor by a distance in the unit of the window."""
        if self.window():
            newest = self.newest()
            start = newest if self.view.cursor is None else self.view.cursor
            self.set_view(cursor=min(max(start + distance, 0.0), newest))

    def toggle_log(self) -> None:
        """Switch between a linear and a logarithmic scale."""
        self.set_view(log=not self.view.log)

    def smooth(self) -> None:
        """Switch to the next smoothing: off, light, strong."""
        self.set_view(smoothing=(self.view.smoothing + 1) % len(SMOOTHINGS))

    def set_view(self, **changes: float | str | None) -> None:
        """Change fields of the view."""
        self.view = replace(self.view, **changes)  # type: ignore[arg-type]


class ChartActions:
    """Actions of the keys that change a chart, for the view or screen that has one."""

    @property
    def chart(self) -> Chart[Any]:
        """The chart that the keys change."""
        raise NotImplementedError

    def action_move(self, cells: int) -> None:
        """Move the cursor."""
        self.chart.move(cells)

    def action_zoom(self, steps: int) -> None:
        """Zoom in or out."""
        self.chart.zoom(steps)

    def action_show_all(self) -> None:
        """Zoom out to the whole run."""
        self.chart.show_all()

    def action_follow(self) -> None:
        """Clear the cursor."""
        self.chart.follow()

    def action_toggle_log(self) -> None:
        """Switch between a linear and a logarithmic scale."""
        self.chart.toggle_log()

    def action_cycle_smoothing(self) -> None:
        """Switch to the next smoothing."""
        self.chart.smooth()


def to_content(cells: StyledCells) -> Content:
    """Return a line of cells as content that Textual paints."""
    pieces = groupby(cells, key=lambda cell: cell[1])
    return Content.assemble(
        *(("".join(char for char, _ in piece), style) for style, piece in pieces)
    )


def message_lines(text: str, width: int, height: int) -> list[Content]:
    """Return `height` lines with a text in the middle, for a chart without curves."""
    above = [Content("")] * ((height - 1) // 2)
    below = [Content("")] * (height - 1 - len(above))
    return [*above, Content.styled(text.center(width), "$muted"), *below]
