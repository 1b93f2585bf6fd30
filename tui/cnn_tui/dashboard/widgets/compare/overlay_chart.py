"""Curves of several runs in one chart."""

import math
from collections.abc import Sequence
from dataclasses import replace

from textual.content import Content
from textual.reactive import reactive

from cnn_engine.runlog.state import RunState
from cnn_tui.charts.axes import MARGIN, MIN_HEIGHT, MIN_WIDTH
from cnn_tui.charts.binning import Window
from cnn_tui.charts.loss import visible_window
from cnn_tui.charts.overlay import draw_overlay, time_unit
from cnn_tui.charts.traces import (
    METRICS,
    X_AXES,
    Metric,
    OverlayView,
    axis_extent,
    run_extent,
)
from cnn_tui.dashboard.compared import ComparedRun
from cnn_tui.dashboard.widgets.chart import Chart, to_content
from cnn_tui.text.safe import safe_text
from cnn_tui.text.series import shared_series

METRIC_TITLES = {"losses": "Loss (a training, A validation)", "accuracy": "Validation accuracy"}


def _has_epochs(state: RunState) -> bool:
    """Return True if the run, as far as it is read, can be drawn by epoch."""
    return bool(state.is_own or state.steps_per_epoch or state.epochs)


class OverlayChart(Chart[Sequence[ComparedRun]]):
    """Curves with a letter and a colour for each run; a cursor reads the values of all runs."""

    view: reactive[OverlayView] = reactive(OverlayView(), repaint=False)

    def __init__(self, runs: Sequence[ComparedRun]) -> None:
        super().__init__()
        self._runs = runs
        self._window: Window | None = None
        metric: Metric = "losses" if len(runs) <= 2 else "validation loss"
        self.set_reactive(OverlayChart.view, OverlayView(metric=metric))

    @property
    def _states(self) -> list[RunState]:
        return [state for run in self._runs for state in run.states]

    @property
    def drawn_view(self) -> OverlayView:
        """The view, with curves and an axis that the runs have.

        Instead of a validation loss that no run has it is the training loss, and instead of any
        loss the accuracy or the first series.
        """
        view, states = self.view, self._states
        if view.x_axis == "epoch" and not any(_has_epochs(state) for state in states):
            view = replace(view, x_axis="step")
        if view.series or view.metric == "accuracy":
            return view
        epochs = [epoch for state in states for epoch in state.epochs]
        if not all(math.isnan(epoch.val_loss) for epoch in epochs):
            return view
        if any(state.curve for state in states):
            has_only_training = view.metric == "validation loss"
            return replace(view, metric="training loss") if has_only_training else view
        if not all(math.isnan(epoch.val_accuracy) for epoch in epochs):
            return replace(view, metric="accuracy")
        return replace(view, series=self.series[0]) if self.series else view

    @property
    def series(self) -> list[str]:
        """Series that can be drawn: those of at least two runs."""
        return shared_series(self._states)

    def window(self) -> Window | None:
        """Return the window in view, in the unit of the axis."""
        return self._window

    def newest(self) -> float:
        """Return the end of the longest run."""
        return max(run_extent(state, self.drawn_view) for state in self._states)

    def next_axis(self) -> None:
        """Switch to the next x axis, and show all of it."""
        index = (X_AXES.index(self.drawn_view.x_axis) + 1) % len(X_AXES)
        self.set_view(x_axis=X_AXES[index], cursor=None, zoom=0)

    @property
    def choices(self) -> list[tuple[Metric, str]]:
        """The curves that can be drawn: metrics without a series, then the series."""
        series = ((self.view.metric, name) for name in self.series)
        return [*((metric, "") for metric in METRICS), *series]

    def next_metric(self) -> None:
        """Switch to the next metric or series."""
        choices, current = self.choices, (self.view.metric, self.view.series)
        index = choices.index(current) + 1 if current in choices else 0
        self.choose(*choices[index % len(choices)])

    def choose(self, metric: Metric, series: str) -> None:
        """Draw a metric, or a series if it is not empty."""
        self.set_view(metric=metric, series=series)

    def titles(self, runs: Sequence[ComparedRun]) -> tuple[str, str]:  # noqa: ARG002
        """Return the metric and the axis."""
        axis: str = self.drawn_view.x_axis
        if axis == "time" and (window := self._visible_window(1)):
            axis = f"time in {time_unit(window)[1]}"
        view = self.drawn_view
        title = METRIC_TITLES.get(view.metric, view.metric.capitalize())
        return f"{safe_text(view.series, 80) or title} by {axis}", ""

    def draw(self, runs: Sequence[ComparedRun], width: int, height: int) -> list[Content]:
        """Return the chart, or a message while there is nothing to draw."""
        if width < MIN_WIDTH or height < MIN_HEIGHT:
            return []
        view, lines = self.drawn_view, None
        window = self._window = self._visible_window(2 * (width - MARGIN))
        if window is not None:
            traces = [trace for run in runs for trace in run.traces(window, view)]
            lines = draw_overlay(traces, self._readings(width), window, view, (width, height))
        if lines is None:
            text = "nothing to draw yet"
            if any(run.state.curve or run.state.series for run in runs):
                title = safe_text(view.title, 80)
                text = f"no {title} by {view.x_axis}; v and x switch metric and axis"
            return [Content(""), Content.styled(text.center(width), "$muted")]
        return list(map(to_content, lines))

    def _visible_window(self, columns: int) -> Window | None:
        view, newest = self.drawn_view, self.newest()
        whole = axis_extent(self._states, view)
        return visible_window(view, newest, max(whole, newest), columns) if whole > 0 else None

    def _readings(self, width: int) -> list[tuple[str, str, str]]:
        """Return letter, style and text of each run: its name, or its value at the cursor."""
        max_length = max(3, width // len(self._runs) - len("A    "))
        readings = []
        for run in self._runs:
            text = safe_text(run.name, max_length)
            if self.view.cursor is not None:
                text = run.value_at_cursor(self.drawn_view)
            readings.append((run.curves.letter, run.curves.style, text))
        return readings
