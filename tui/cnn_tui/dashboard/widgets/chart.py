"""What charts have in common: how they are looked at, by keys."""

from dataclasses import replace
from itertools import groupby

from textual.content import Content

from cnn_tui.charts.axes import StyledCells
from cnn_tui.charts.binning import Window
from cnn_tui.charts.loss import SMOOTHINGS, ZOOMS, ChartView
from cnn_tui.dashboard.widgets.panel import Lines


class Chart(Lines):
    """Curves that are zoomed into, smoothed, and read with a cursor."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name for it
        super().__init__(id=id)
        self.view = ChartView()
        """How it is looked at."""

    def window(self) -> Window | None:
        """What is shown; None while there is nothing."""
        raise NotImplementedError

    def newest(self) -> float:
        """How far the curves go, in what the window counts."""
        raise NotImplementedError

    def zoom(self, by: int) -> None:
        """Halve the stretch that is shown, or double it."""
        self.set_view(zoom=min(max(self.view.zoom + by, 0), ZOOMS))

    def show_all(self) -> None:
        """Show the whole run."""
        self.set_view(zoom=0)

    def follow(self) -> None:
        """Put the cursor away, and show the newest."""
        self.set_view(cursor=None)

    def move(self, cells: float) -> None:
        """Move the cursor along the curve; the first time it starts from the newest."""
        if window := self.window():
            self.move_by(cells * 2 * (window.last - window.first) / window.columns)

    def move_by(self, distance: float) -> None:
        """Move the cursor so far, in what the window counts."""
        if self.window():
            newest = self.newest()
            start = newest if self.view.cursor is None else self.view.cursor
            self.set_view(cursor=min(max(start + distance, 0.0), newest))

    def toggle_log(self) -> None:
        """Change between a linear and a logarithmic scale."""
        self.set_view(log=not self.view.log)

    def smooth(self) -> None:
        """Smooth the training curve more, or at last not at all."""
        self.set_view(smoothing=(self.view.smoothing + 1) % len(SMOOTHINGS))

    def set_view(self, **changes: float | str | None) -> None:
        """Look at it otherwise."""
        self.view = replace(self.view, **changes)  # type: ignore[arg-type]
        self.redraw()


def content_of(line: StyledCells) -> Content:
    """A line of cells as Textual paints it."""
    runs = groupby(line, key=lambda cell: cell[1])
    return Content.assemble(*(("".join(char for char, _ in run), style) for style, run in runs))
