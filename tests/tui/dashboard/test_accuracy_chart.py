"""The accuracy curve of a run."""

import pytest

from cnn_tui.charts.accuracy import draw_accuracy_chart
from cnn_tui.charts.axes import MARGIN
from cnn_tui.charts.binning import Window
from cnn_tui.charts.loss import TRAIN, VAL, ChartView
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.widgets.accuracy_chart import AccuracyChart
from cnn_tui.dashboard.widgets.loss_chart import LossChart
from event_samples import epoch_finished, prepared, started, state_after, steps
from golden import golden_run, running_run
from pilot import SIZES, press, screen_text, settle

pytestmark = pytest.mark.usefixtures("fixed_time")

TITLE = "Accuracy in % by epoch"


async def test_accuracy_is_below_the_loss_on_a_large_terminal(tmp_path):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=(200, 60)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "Loss by epoch" in text
        assert TITLE in text
        await press(pilot, "left", "plus")
        views = [app.screen.query_one(chart).view for chart in (LossChart, AccuracyChart)]
        assert views[0] == views[1]
        assert views[0].cursor is not None
        assert views[0].zoom == 1


@pytest.mark.parametrize("size", [size for size in SIZES if size != (200, 60)])
async def test_key_shows_the_accuracy_in_place_of_the_loss(tmp_path, size):
    app = Dashboard(RunScreen(golden_run(tmp_path, "completed")))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        charts = [app.screen.query_one(chart) for chart in (LossChart, AccuracyChart)]
        assert [chart.display for chart in charts] == [True, False]
        await press(pilot, "a", "left")
        assert [chart.display for chart in charts] == [False, True]
        assert "val 99." in screen_text(app)
        await press(pilot, "a")
        assert [chart.display for chart in charts] == [True, False]


async def test_chart_waits_for_the_first_epoch(tmp_path):
    app = Dashboard(RunScreen(running_run(tmp_path, lines=2)))
    async with app.run_test(size=(200, 60)) as pilot:
        await settle(pilot)
        assert "available after the first epoch" in screen_text(app)


def test_both_accuracies_are_drawn():
    state = state_after(
        started(epochs=4),
        prepared(steps_per_epoch=10),
        *(event for epoch in (1, 2, 3) for event in (steps(epoch, 10), epoch_finished(epoch))),
    )
    window = Window(0, 40, 2 * (60 - MARGIN))
    lines = draw_accuracy_chart(state, window, ChartView(), 60, 14)
    assert len(lines) == 14
    assert {len(line) for line in lines} == {60}
    assert {TRAIN, VAL} <= {style for line in lines[1:] for _, style in line}
    assert sum(char == "★" for line in lines for char, _ in line) == 1
    empty = state_after(started(), prepared())
    assert draw_accuracy_chart(empty, window, ChartView(cursor=5.0), 60, 14) is None
