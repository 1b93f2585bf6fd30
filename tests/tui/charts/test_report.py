"""The plotext chart of reports."""

import math
from pathlib import Path

import pytest
from rich.text import Text

from cnn_engine.runlog.curve import Curve, CurvePoint
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.report import ChartColors, accuracy_chart, downsample, loss_chart
from event_samples import epoch_finished, prepared, started, state_after


def state_with_losses(losses):
    state = state_after(started(epochs=10), prepared(steps_per_epoch=100))
    state.curve = Curve([CurvePoint(step, loss, loss, loss) for step, loss in enumerate(losses, 1)])
    return state


def test_downsample_keeps_extremes():
    points = [(float(x), 1.0) for x in range(10_000)]
    points[1234] = (1234.0, 9.0)
    points[7777] = (7777.0, -3.0)
    kept = downsample(points, 200)
    assert len(kept) <= 200
    assert (1234.0, 9.0) in kept
    assert (7777.0, -3.0) in kept
    assert kept == sorted(kept)


def test_downsample_returns_short_lists_unchanged():
    points = [(0.0, 1.0), (1.0, math.nan)]
    assert downsample(points, 200) == points


@pytest.mark.parametrize("size", [(16, 4), (40, 8), (76, 16), (196, 50)])
def test_report_chart_fits_size(size):
    width, height = size
    state = state_with_losses([2.0 / step for step in range(1, 900)])
    state.apply(epoch_finished(1, 1.1))
    lines = Text.from_ansi(loss_chart(state, width, height, ChartColors())).plain.split("\n")
    assert len(lines) == height
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (15, 20), (80, 3)])
def test_report_chart_is_empty_if_too_small(size):
    assert loss_chart(state_with_losses([1.0]), *size, ChartColors()) == ""


def test_report_chart_draws_non_finite_losses_as_gaps():
    whole = loss_chart(state_with_losses([1.0] * 200), 60, 10, ChartColors())
    with_gap = state_with_losses([1.0] * 90 + [math.nan, math.inf, -math.inf] * 7 + [1.0] * 89)
    chart = loss_chart(with_gap, 60, 10, ChartColors())
    assert 0 < dots(chart) < dots(whole)
    assert loss_chart(state_with_losses([math.nan, math.inf]), 60, 10, ChartColors()) == ""
    assert loss_chart(RunState(), 60, 10, ChartColors()) == ""


def test_accuracy_is_drawn_in_percent_with_round_numbers():
    state = state_with_losses([1.0] * 300)
    assert accuracy_chart(state, 60, 12, ChartColors()) == ""
    for epoch in (1, 2, 3):  # training 50 %, validation 70 %
        state.apply(epoch_finished(epoch))
    chart = accuracy_chart(state, 60, 12, ChartColors())
    lines = Text.from_ansi(chart).plain.split("\n")
    numbers = [float(line.split("┤")[0]) for line in lines if "┤" in line]
    assert len(numbers) >= 2
    assert all(number % 5 == 0 for number in numbers)
    assert dots(chart) > 0


def dots(chart):
    return sum(0x2800 < ord(char) < 0x2900 for char in Text.from_ansi(chart).plain)


def test_plotext_is_imported_by_one_module():
    roots = [Path(__file__).parents[3] / root for root in ("engine", "tui")]
    importers = [
        path.name
        for root in roots
        for path in root.rglob("*.py")
        if "import plotext" in path.read_text(encoding="utf-8")
    ]
    assert importers == ["report.py"]
