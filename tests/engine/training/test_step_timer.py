"""Phases of a training step are timed."""

import time

import pytest
import torch

from cnn_engine.runlog.events import StepsFinished
from cnn_engine.runlog.state import STEP_PARTS, RunState
from cnn_engine.training.step_timer import SAMPLE_EVERY, StepTimer
from cnn_tui.dashboard.widgets.step_time import StepTime


@pytest.fixture
def clock(monkeypatch):
    """Replace `time.perf_counter`; return a list with its value, which the test changes."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def run_steps(timer, clock, count, **seconds):
    """Time `count` steps, whose phases take these numbers of seconds."""
    timer.begin_step()
    for _ in range(count):
        for phase, spent in seconds.items():
            clock[0] += spent
            timer.mark(phase)
        timer.begin_step()


def test_fractions_match_time_spent(clock):
    timer = StepTimer(torch.device("cpu"))
    run_steps(
        timer,
        clock,
        2 * SAMPLE_EVERY,
        data=0.1,
        forward=0.2,
        backward=0.5,
        optimizer=0.1,
        other=0.1,
    )
    fractions = timer.pop_fractions()
    assert fractions == pytest.approx(
        {"data": 0.1, "forward": 0.2, "backward": 0.5, "optimizer": 0.1, "other": 0.1}
    )


def test_pause_between_steps_is_not_measured(clock):
    timer = StepTimer(torch.device("cpu"))
    for _ in range(2 * SAMPLE_EVERY):
        timer.begin_step()
        clock[0] += 0.1
        timer.mark("forward")
        clock[0] += 3600.0
    assert timer.pop_fractions() == {"forward": 1.0}


def test_fractions_are_popped_once(clock):
    timer = StepTimer(torch.device("cpu"))
    run_steps(timer, clock, 2 * SAMPLE_EVERY, data=0.1, forward=0.1)
    assert timer.pop_fractions()
    assert timer.pop_fractions() == {}


def test_only_some_steps_are_measured(clock):
    timer = StepTimer(torch.device("cpu"))
    run_steps(timer, clock, SAMPLE_EVERY - 1, data=0.1)
    assert timer.pop_fractions() == {}


def test_unsupported_device_is_not_measured():
    timer = StepTimer(torch.device("mps"))
    for _ in range(2 * SAMPLE_EVERY):
        timer.begin_step()
        timer.mark("data")
    assert timer.pop_fractions() == {}


def steps(**seconds):
    return StepsFinished(
        epoch=1, step=1, steps=1, loss=1.0, loss_min=1.0, loss_max=1.0, lr=0.1, seconds=2.0,
        images=64, **seconds,
    )  # fmt: skip


def test_state_sums_up_fractions():
    state = RunState()
    state.apply(steps())  # an unmeasured step
    assert state.part_fractions == {}
    state.apply(steps(data_seconds=0.5, forward_seconds=0.5, backward_seconds=0.8))
    state.apply(steps(data_seconds=0.1, forward_seconds=0.9, optimizer_seconds=0.2))
    assert state.part_fractions == pytest.approx(
        {"data": 0.15, "forward": 0.35, "backward": 0.2, "optimizer": 0.05, "other": 0.25}
    )


def test_panel_shows_measured_phases():
    """On a GPU most steps are replayed; only measured steps count for the fractions."""
    state = RunState()
    measured = {"data_seconds": 0.2, "forward_seconds": 0.6, "backward_seconds": 1.0}
    for event in (steps(), steps(**measured, optimizer_seconds=0.1), steps(), steps()):
        state.apply(event)
    lines = [line.plain.split() for line in StepTime().draw(state, 14, 5)]
    assert lines == [
        ["data", "10%"],
        ["forward", "30%"],
        ["backward", "50%"],
        ["optimizer", "5%"],
        ["other", "5%"],
    ]
    for _ in range(state.recent.maxlen):
        state.apply(steps())
    assert [line.plain.split() for line in StepTime().draw(state, 14, 5)] == lines


def test_exchange_is_a_part_of_the_step_time_of_several_processes():
    state = RunState()
    state.apply(steps(data_seconds=0.2, forward_seconds=0.6, exchange_seconds=0.4))
    assert state.part_fractions == pytest.approx(
        {"data": 0.1, "forward": 0.3, "exchange": 0.2, "other": 0.4}
    )
    lines = [line.plain.split() for line in StepTime().draw(state, 14, 6)]
    assert [name for name, _ in lines] == list(STEP_PARTS)
    assert ["exchange", "20%"] in lines


def test_only_the_time_for_data_is_shown_of_another_loop():
    state = RunState()
    state.apply(steps(data_seconds=0.5))
    assert state.part_fractions == {"data": 0.25, "other": 0.75}
    lines = [line.plain.split() for line in StepTime().draw(state, 14, 5)]
    assert lines == [["data", "25%"], ["other", "75%"]]
