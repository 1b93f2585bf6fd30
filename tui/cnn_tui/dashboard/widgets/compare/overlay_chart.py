"""Curves of several runs in one chart."""

from collections.abc import Sequence
from dataclasses import replace

from textual.content import Content

from cnn_tui.charts.axes import MARGIN, MIN_HEIGHT, MIN_WIDTH
from cnn_tui.charts.binning import Window
from cnn_tui.charts.loss import visible_window
from cnn_tui.charts.overlay import draw_overlay, time_unit
from cnn_tui.charts.traces import (
    METRICS,
    X_AXES,
    OverlayView,
    axis_extent,
    run_extent,
    value_at_cursor,
)
from cnn_tui.dashboard.compared import ComparedRun
from cnn_tui.dashboard.widgets.chart import Chart, content_of
from cnn_tui.text.safe import safe_text


class OverlayChart(Chart):
    """A letter and a colour a run; a cursor reads them all."""

    view: OverlayView

    def __init__(self, runs: Sequence[ComparedRun]) -> None:
        super().__init__()
        self._runs = runs
        self._window: Window | None = None
        self.view = OverlayView(metric="losses" if len(runs) <= 2 else "validation loss")

    @property
    def seen(self) -> OverlayView:
        """The view, but for the validation loss of runs that have none: their training loss."""
        epochs = (epoch for run in self._runs for epoch in run.state.epochs)
        if self.view.metric != "validation loss" or any(epoch.is_validated for epoch in epochs):
            return self.view
        return replace(self.view, metric="training loss")

    def window(self) -> Window | None:
        """What is shown, along the axis."""
        return self._window

    def newest(self) -> float:
        """How far the longest run has come."""
        return max(run_extent(run.state, self.view) for run in self._runs)

    def next_axis(self) -> None:
        """Draw along something else, and show all of it."""
        along = X_AXES[(X_AXES.index(self.view.x_axis) + 1) % len(X_AXES)]
        self.set_view(x_axis=along, cursor=None, zoom=0)

    def next_series(self) -> None:
        """Draw other curves."""
        self.set_view(metric=METRICS[(METRICS.index(self.view.metric) + 1) % len(METRICS)])

    def make(self, width: int, height: int) -> list[Content]:
        """The chart's lines; before there are any, what is being waited for."""
        if width < MIN_WIDTH or height < MIN_HEIGHT:
            return []
        states = [run.state for run in self._runs]
        view, newest = self.seen, self.newest()
        whole = axis_extent(states, view)
        self._window = None
        lines = None
        if whole > 0:
            columns = 2 * (width - MARGIN)
            window = self._window = visible_window(view, newest, max(whole, newest), columns)
            traces = [
                trace for run in self._runs for trace in run.curves.traces(run.state, window, view)
            ]
            lines = draw_overlay(traces, self._readings(width), window, view, (width, height))
        self._retitle()
        if lines is None:
            text = "nothing to draw yet"
            if any(state.curve for state in states):
                text = f"no {view.metric} by {view.x_axis} here: v and x draw others"
            return [Content(""), Content.styled(text.center(width), "$muted")]
        return [content_of(line) for line in lines]

    def _readings(self, width: int) -> list[tuple[str, str, str]]:
        """What stands above the curves: names, or with a cursor values."""
        longest = max(3, width // len(self._runs) - len("A    "))
        readings = []
        for run in self._runs:
            text = safe_text(run.name, longest)
            if self.view.cursor is not None:
                text = value_at_cursor(run.state, run.curves, self.seen)
            readings.append((run.curves.letter, run.curves.style, text))
        return readings

    def _retitle(self) -> None:
        along = self.view.x_axis
        if along == "time" and self._window:
            along = f"time in {time_unit(self._window)[1]}"  # type: ignore[assignment]
        names = {"losses": "Loss (a training, A validation)", "accuracy": "Validation accuracy"}
        series = self.seen.metric
        title = f"{names.get(series, series.capitalize())} by {along}"
        if title != self.border_title:  # setting it repaints, even to what it is
            self.border_title = title
