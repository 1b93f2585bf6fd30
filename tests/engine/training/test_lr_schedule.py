"""Learning rate schedules."""

import pytest

from cnn_engine.config.schema import ScheduleConfig
from cnn_engine.runlog import events
from cnn_engine.training.lr_schedule import lr_factor
from runs_for_tests import RunForTests

STEPS = 2 * 18


def lr_factors(progress, **config):
    """Return the factors of the learning rate at these fractions of training."""
    schedule = ScheduleConfig(**config)
    return [lr_factor(schedule, fraction) for fraction in progress]


def test_constant_schedule():
    assert lr_factors([0.0, 0.3, 1.0, 1.5], shape="constant") == [1.0] * 4


def test_linear_and_cosine_decay():
    progress = [0.0, 0.25, 0.5, 1.0, 1.5]
    assert lr_factors(progress, shape="linear") == pytest.approx([1, 0.75, 0.5, 0, 0])
    assert lr_factors(progress, shape="linear", end=0.2) == pytest.approx([1, 0.8, 0.6, 0.2, 0.2])
    cosine = [1, (1 + 0.5**0.5) / 2, 0.5, 0, 0]
    assert lr_factors(progress, shape="cosine") == pytest.approx(cosine)


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine"])
def test_warmup_rises_to_one_before_decay(shape):
    rising = lr_factors([0.0, 0.1, 0.2], shape=shape, warmup=0.2, start=0.1)
    assert rising == pytest.approx([0.1, 0.55, 1.0])
    middle, end = lr_factors([0.6, 1.0], shape=shape, warmup=0.2, start=0.1)
    assert (middle, end) == pytest.approx((1, 1) if shape == "constant" else (0.5, 0))


def learning_rates(run):
    """Return the recorded learning rates by number of steps done."""
    return {
        18 * (event.epoch - 1) + event.step: event.lr
        for event in run.events()
        if isinstance(event, events.StepsFinished)
    }


def test_run_follows_schedule_step_by_step(tmp_path):
    settings = ("schedule.shape=linear", "train.epochs=2", "train.checkpoint_seconds=1e-9")
    run = RunForTests(tmp_path, *settings).train()
    expected = {step: 0.001 * (1 - (step - 1) / STEPS) for step in range(1, STEPS + 1)}
    assert learning_rates(run) == pytest.approx(expected)


def test_lr_command_scales_rest_of_schedule(tmp_path):
    settings = ("schedule.shape=linear", "schedule.end=0.1", "train.epochs=2")
    run = RunForTests(tmp_path, *settings, "train.checkpoint_seconds=1e-9")
    run.send("lr", 0.002)
    run.train()
    assert learning_rates(run)[1] == pytest.approx(0.002)
    assert learning_rates(run)[STEPS] == pytest.approx(0.002 * (1 - 0.9 * (STEPS - 1) / STEPS))


def test_epochs_command_stretches_rest_of_schedule(tmp_path):
    settings = ("schedule.shape=linear", "train.epochs=2", "train.checkpoint_seconds=1e-9")
    run = RunForTests(tmp_path, *settings).train()
    run.resume(epochs=4)
    assert learning_rates(run)[STEPS + 1] == pytest.approx(0.001 * 0.5)
    assert learning_rates(run)[2 * STEPS] == pytest.approx(0.001 / (2 * STEPS))
