"""Series beside losses, accuracies and learning rate: norms, speed and calibration."""

import math
from types import SimpleNamespace

import pytest
import torch

from cnn_engine.results.metrics import calibration_error
from cnn_engine.runlog.events import ScalarsLogged, StepsFinished
from cnn_engine.training.control import StopRequested
from cnn_engine.training.flat_parameters import FlatParameters
from cnn_engine.training.learner import Learner
from cnn_engine.training.optimizers import Optimizer
from cnn_engine.training.scalars import (
    CALIBRATION_ERROR,
    GRAD_NORM,
    IMAGES_PER_SECOND,
    WEIGHT_NORM,
    scalars_logged,
)
from cnn_engine.training.step_logger import StepLogger
from cnn_engine.training.step_runner import Norms
from interrupted_runs import STEPS, TWO_EPOCHS, assert_same, interrupt_at
from runs_for_tests import RunForTests, events_of


@pytest.fixture
def every_step_is_logged(monkeypatch):
    monkeypatch.setattr("cnn_engine.training.trainer.EVENT_SECONDS", 0.0)


def norm(tensors):
    return torch.cat([tensor.double().flatten() for tensor in tensors]).norm().item()


def logged(run, name):
    """Return the value of a series by step."""
    return {
        event.step: event.values[name][0]
        for event in events_of(run.directory, ScalarsLogged)
        if name in event.values
    }


@pytest.mark.parametrize(
    "settings",
    [
        ("train.precision=fp32",),
        ("train.precision=bf16", "optimizer.clip_norm=0.1", "optimizer.name=muon"),
    ],
)
def test_norms_are_those_of_gradients_before_clipping_and_of_new_weights(
    tmp_path, monkeypatch, every_step_is_logged, settings
):
    gradient_norms, weight_norms = [], []
    gather, copy = FlatParameters.gather_gradients, FlatParameters.copy_to_model

    def gather_gradients(weights):
        gradient_norms.append(norm([parameter.grad for parameter in weights._parameters]))
        gather(weights)

    def copy_to_model(weights):
        copy(weights)
        values = weights.state_dict()
        weight_norms.append(norm([values[name] for name, _ in weights._model.named_parameters()]))

    monkeypatch.setattr(FlatParameters, "gather_gradients", gather_gradients)
    monkeypatch.setattr(FlatParameters, "copy_to_model", copy_to_model)
    run = RunForTests(tmp_path, TWO_EPOCHS, *settings).train()
    steps = range(1, 2 * STEPS + 1)
    expected = dict(zip(steps, gradient_norms, strict=True))
    assert logged(run, GRAD_NORM) == pytest.approx(expected, rel=1e-5)
    assert min(gradient_norms) > 0.1  # all are clipped, if any
    expected = dict(zip(steps, weight_norms, strict=False))  # the test loads further weights
    assert logged(run, WEIGHT_NORM) == pytest.approx(expected, rel=1e-5)
    counts = [event.images / event.seconds for event in events_of(run.directory, StepsFinished)]
    assert [*logged(run, IMAGES_PER_SECOND).values()] == pytest.approx(counts, rel=1e-5)


def test_calibration_error_is_that_of_each_validation(tmp_path, monkeypatch):
    evaluations, evaluate = [], Learner.evaluate

    def evaluate_and_keep(learner, *arguments):
        evaluations.append(evaluate(learner, *arguments))
        return evaluations[-1]

    monkeypatch.setattr(Learner, "evaluate", evaluate_and_keep)
    run = RunForTests(tmp_path, "train.epochs=3", "train.validate_every=2").train()
    errors = [calibration_error(evaluation.bins) for evaluation in evaluations]
    assert logged(run, CALIBRATION_ERROR) == pytest.approx(
        dict(zip([2 * STEPS, 3 * STEPS], errors, strict=True)), rel=1e-5
    )
    assert all(0 < error < 1 for error in errors)


def test_norms_do_not_change_training(tmp_path, monkeypatch, every_step_is_logged):
    with_norms = RunForTests(tmp_path, TWO_EPOCHS).train()
    monkeypatch.setattr(Optimizer, "norms", lambda _: torch.zeros(2))
    without = RunForTests(tmp_path, TWO_EPOCHS).train()
    assert set(logged(without, GRAD_NORM).values()) == {0.0}
    assert_same(with_norms, without)


def test_series_of_a_resumed_run_equal_those_of_an_uninterrupted_one(
    tmp_path, monkeypatch, every_step_is_logged
):
    expected = RunForTests(tmp_path, TWO_EPOCHS).train().live_state.series
    run = RunForTests(tmp_path, TWO_EPOCHS)
    with monkeypatch.context() as patches:
        interrupt_at(patches, 7, StopRequested("test"))
        run.train()
    series = run.resume().live_state.series
    assert len(series[GRAD_NORM].curve) == 2 * STEPS
    for name in (GRAD_NORM, WEIGHT_NORM, CALIBRATION_ERROR):
        assert series[name].curve.steps == expected[name].curve.steps
        assert series[name].curve.losses == expected[name].curve.losses


def test_diverged_gradients_are_logged_and_undone_by_a_rollback(
    tmp_path, monkeypatch, every_step_is_logged
):
    backward, calls = torch.autograd.backward, 0

    def diverge(loss):
        nonlocal calls
        calls += 1
        backward(loss * (math.nan if calls == 5 else 1.0))

    monkeypatch.setattr(torch.autograd, "backward", diverge)
    run = RunForTests(tmp_path, TWO_EPOCHS, "train.on_non_finite=rollback").train()
    diverged = [e for e in events_of(run.directory, ScalarsLogged) if e.not_finite]
    assert (diverged[0].step, diverged[0].not_finite[GRAD_NORM]) == (5, "nan")
    series = run.live_state.series[GRAD_NORM]
    assert [*series.curve.steps] == [*range(1, 2 * STEPS + 1)]
    assert all(map(math.isfinite, series.curve.losses))


class GpuSteps:
    """Steps on a fake GPU that is one step behind; norms are done when their step is."""

    def __init__(self):
        self.launched, self.waited_for = 0, []

    @property
    def finished(self):
        return self.launched - 1

    def losses(self, first, end):
        return [1.0] * (end - first)

    def measure_norms(self):
        steps, step = self, self.launched

        class Copy:
            @property
            def is_done(self):
                return steps.finished >= step or step in steps.waited_for

            def read(self):
                if not self.is_done:
                    steps.waited_for.append(step)
                return [float(step), 2.0]

        return Norms(step, Copy())


def test_norms_are_logged_once_the_gpu_has_computed_them(every_step_is_logged):
    recorded, steps = [], GpuSteps()
    timer = SimpleNamespace(pop_fractions=dict)
    recorder = SimpleNamespace(record=recorded.append)
    clock = iter(range(100))
    logger = StepLogger(
        recorder, lambda: next(clock), timer, 2, [64] * 4, [0.1] * 4, steps, 0, lambda: True
    )
    for step in range(1, 5):
        steps.launched = step
        logger.step_done(steps.finished if step < 4 else step)
    described = [
        (type(event).__name__, event.step, getattr(event, "values", {}).get(GRAD_NORM))
        for event in recorded
    ]
    assert described == [
        ("StepsFinished", 1, None),
        ("ScalarsLogged", 4 + 2, (2.0,)),
        ("StepsFinished", 2, None),
        ("ScalarsLogged", 4 + 3, (3.0,)),
        ("StepsFinished", 4, None),
        ("ScalarsLogged", 4 + 4, (4.0,)),
    ]
    assert recorded[1].values[IMAGES_PER_SECOND] == (64.0,)
    assert steps.waited_for == [4]  # the end of the epoch


def test_values_that_are_not_finite_are_named():
    event = scalars_logged(1, 2, {"a": 1 / 3, "b": math.nan, "c": -math.inf})
    assert event.values == {"a": (0.333333,)}
    assert event.not_finite == {"b": "nan", "c": "-inf"}
