"""The result that Live shows once a run has ended with a test."""

from dataclasses import replace
from functools import partial

import pytest

from cnn_engine.results.metrics import metrics_of
from cnn_engine.results.mistakes import MISTAKES_FILE, Mistake, encode_mistakes
from cnn_engine.runlog import events
from cnn_engine.runs.summary import read_state
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.dashboard.widgets.run_result import RunResult, first_of_each_pair
from cnn_tui.text.metrics import interval_text
from golden import golden_run, rewrite_events, running_run
from pilot import screen_text, settle

pytestmark = pytest.mark.usefixtures("fixed_time")


def mistake(target, predicted, name="x"):
    return Mistake(
        name=name,
        target=target,
        predicted=predicted,
        confidence=0.9,
        rank=2,
        pixels=bytes([200, 30, 30] * 64),
        width=8,
        height=8,
        channels=3,
    )


def run_with_mistakes(tmp_path):
    """Return a run with three mistakes in its log and its file, and its state."""
    pairs = ((3, 5, 1), (8, 2, 1), (9, 3, 1))
    run = rewrite_events(
        golden_run(tmp_path, "completed"),
        lambda event: (
            replace(event, confusion=pairs) if isinstance(event, events.TestFinished) else event
        ),
    )
    state, _ = read_state(run)
    mistakes = [mistake(target, predicted) for target, predicted, _ in pairs]
    content = encode_mistakes(mistakes, state.test.epoch, state.test.fingerprint)
    (run.path / MISTAKES_FILE).write_bytes(content)
    return run, state


def test_pictures_are_of_different_pairs_in_order():
    saved = [mistake(0, 1, "a"), mistake(0, 1, "b"), mistake(1, 0, "c"), mistake(2, 0, "d")]
    assert [shown.name for shown in first_of_each_pair(saved, 2)] == ["a", "c"]
    assert [shown.name for shown in first_of_each_pair(saved[:2], 3)] == ["a"]


@pytest.mark.parametrize("size", [(200, 60), (120, 36), (80, 24)])
async def test_ended_run_shows_interval_mistakes_and_next_commands(tmp_path, size):
    run, state = run_with_mistakes(tmp_path)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert interval_text(metrics_of(state.test, state.prepared).accuracy) in text
        assert "predict, export, test" in text
        assert "Step time" not in text
        assert f"→ {state.classes[5]}" in text
        assert ("▀▀▀" in text) == (size != (80, 24))


async def test_result_without_saved_mistakes_has_the_figures(tmp_path):
    run, _ = run_with_mistakes(tmp_path)
    (run.path / MISTAKES_FILE).write_text("damaged")
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "macro F1" in screen_text(app)
        assert "most confused" in screen_text(app)
        assert "▀▀▀" not in screen_text(app)


@pytest.mark.parametrize(
    "make_run", [partial(running_run, lines=60), partial(golden_run, name="stopped")]
)
async def test_run_without_a_test_keeps_the_machine(tmp_path, make_run):
    app = Dashboard(RunScreen(make_run(tmp_path)))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert not app.screen.query_one(RunResult).display
        assert "Step time" in screen_text(app)
