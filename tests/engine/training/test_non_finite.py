"""Losses and weights that are not finite: stop, roll back or continue."""

import math
import re

import pytest
import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import LAST_FILE
from cnn_engine.runlog import events
from cnn_engine.runs.summary import read_state
from cnn_engine.training.optimizers import Adam
from grammar import COMPLETION, FAILURE, SESSIONS, event_letters
from interrupted_runs import (
    CPU,
    EPOCH_CHECKS,
    STEPS,
    TWO_EPOCHS,
    VALIDATION_BATCHES,
    assert_same,
    poison,
    results,
)
from runs_for_tests import RunForTests

pytestmark = pytest.mark.usefixtures("small_validation_batches")


def rollbacks(run):
    return [event for event in run.events() if isinstance(event, events.RolledBack)]


def test_failed_run_resumes_from_last_good_checkpoint(tmp_path, monkeypatch, uninterrupted_run):
    run = RunForTests(tmp_path, TWO_EPOCHS)
    with monkeypatch.context() as patches:
        poison(patches, 25)
        run.train()
    assert (run.live_state.status, run.engine.exit_code) == ("failed", 4)
    run.resume()
    assert_same(run, uninterrupted_run())


def test_rollback_loads_last_checkpoint_and_halves_lr(tmp_path, monkeypatch):
    poison(monkeypatch, 25, 25)
    run = RunForTests(tmp_path, TWO_EPOCHS, "train.on_non_finite=rollback").train()
    state = run.live_state
    assert state.status == "done"
    (rollback,) = rollbacks(run)
    assert (rollback.epoch, rollback.step, rollback.file, rollback.lr) == (2, 0, LAST_FILE, 0.0005)
    assert re.fullmatch(r"training loss became nan at step 7 of epoch 2", rollback.reason)
    assert [epoch.epoch for epoch in state.epochs] == [1, 2]
    assert all(map(math.isfinite, state.curve.losses))
    assert ("rollback", STEPS) in [(mark.kind, mark.step) for mark in state.markers]
    assert state.recent[-1].lr == 0.0005
    assert read_state(run.directory)[0] == state
    assert COMPLETION.fullmatch(event_letters(run.events()))


def test_rollback_without_checkpoint_starts_again(tmp_path, monkeypatch):
    poison(monkeypatch, 5, 5)
    run = RunForTests(tmp_path, TWO_EPOCHS, "train.on_non_finite=rollback").train()
    (rollback,) = rollbacks(run)
    assert (rollback.epoch, rollback.step, rollback.file, rollback.lr) == (1, 0, "", 0.0005)
    expected = RunForTests(tmp_path, TWO_EPOCHS, "optimizer.lr=0.0005").train()
    assert results(run) == results(expected)
    assert COMPLETION.fullmatch(event_letters(run.events()))


def test_rollback_gives_up(tmp_path, monkeypatch):
    poison(monkeypatch, 25)
    run = RunForTests(tmp_path, TWO_EPOCHS, "train.on_non_finite=rollback").train()
    assert (run.live_state.status, run.engine.exit_code) == ("failed", 4)
    assert "gave up after 5 rollbacks" in run.live_state.finished.error
    assert [rollback.lr for rollback in rollbacks(run)] == [0.001 / 2**n for n in range(1, 6)]
    assert FAILURE.fullmatch(event_letters(run.events()))


@pytest.mark.parametrize("policy", ["stop", "rollback", "continue"])
def test_nan_validation_loss_follows_policy(tmp_path, monkeypatch, policy):
    first = VALIDATION_BATCHES + 1
    poison(monkeypatch, first, first, when=lambda _: torch.is_inference_mode_enabled())
    run = RunForTests(tmp_path, TWO_EPOCHS, f"train.on_non_finite={policy}").train()
    state = run.live_state
    if policy == "stop":
        assert (state.status, run.engine.exit_code) == ("failed", 4)
        assert "validation loss became nan in epoch 2" in state.finished.error
        assert checkpoint.load(run.directory.path / LAST_FILE, CPU)["epoch"] == 1
    elif policy == "rollback":
        assert [(rollback.epoch, rollback.step) for rollback in rollbacks(run)] == [(2, 0)]
        assert (state.status, len(state.epochs)) == ("done", 2)
        assert COMPLETION.fullmatch(event_letters(run.events()))
    else:
        assert (state.status, len(state.epochs)) == ("done", 2)
        assert math.isnan(state.epochs[1].val_loss)
        assert state.best.epoch == state.test.epoch == 1


def test_continue_policy_warns_once_per_epoch_and_saves_no_nan(tmp_path, monkeypatch):
    poison(monkeypatch, 25)
    run = RunForTests(tmp_path, "train.epochs=3", "train.on_non_finite=continue").train()
    state = run.live_state
    assert (state.status, len(state.epochs)) == ("done", 3)
    warnings = [notice.text for notice in state.notices if "loss became nan" in notice.text]
    assert [re.search(r"epoch (\d)", text)[1] for text in warnings] == ["2", "3"]
    for file in ("best.pt", LAST_FILE):
        content = checkpoint.load(run.directory.path / file, CPU)
        assert content["epoch"] == 1
        assert all(values.isfinite().all() for values in content["model"].values())


def set_weight_to_nan(patches, step):
    """Set one weight to NaN after `step` steps, without a NaN loss."""
    real, calls = Adam.step, 0

    def step_and_set(optimizer):
        nonlocal calls
        real(optimizer)
        calls += 1
        if calls == step:
            with torch.no_grad():
                optimizer.param_groups[0]["params"][0][17] = math.nan

    patches.setattr(Adam, "step", step_and_set)


def test_nan_weights_are_not_saved(interrupted_run, monkeypatch):
    set_weight_to_nan(monkeypatch, STEPS + 5)
    run = interrupted_run(EPOCH_CHECKS + 5)  # right after that step
    content = checkpoint.load(run.directory.path / LAST_FILE, CPU)
    assert (content["epoch"], content["step"]) == (1, STEPS)
    (notice,) = run.live_state.notices
    assert notice.text == (
        "last.pt is not saved because weights are not finite; that of epoch 1 is kept"
    )


@pytest.mark.parametrize("policy", ["stop", "rollback", "continue"])
def test_nan_weight_without_nan_loss_follows_policy(tmp_path, monkeypatch, policy):
    set_weight_to_nan(monkeypatch, 2 * STEPS)
    settings = (TWO_EPOCHS, "train.precision=fp32", f"train.on_non_finite={policy}")
    run = RunForTests(tmp_path, *settings).train()
    state, message = run.live_state, "weights are not finite after the steps of epoch 2"
    if policy == "stop":
        assert (state.status, run.engine.exit_code) == ("failed", 4)
        assert state.finished.error == f"{message}; try a lower optimizer.lr"
        assert [epoch.epoch for epoch in state.epochs] == [1]
        assert state.best.epoch == 1
        assert SESSIONS.fullmatch(event_letters(run.events()))
    elif policy == "rollback":
        assert [
            (rollback.epoch, rollback.step, rollback.reason) for rollback in rollbacks(run)
        ] == [(2, 0, message)]
        assert (state.status, len(state.epochs)) == ("done", 2)
        assert checkpoint.load(run.directory.path / LAST_FILE, CPU)["epoch"] == 2
    else:
        assert any(message in notice.text for notice in state.notices)
        assert (state.status, state.test.epoch) == ("done", 1)
        assert checkpoint.load(run.directory.path / LAST_FILE, CPU)["epoch"] == 1
