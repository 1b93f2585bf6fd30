"""Runs that are stopped or killed at a given step, and their results."""

from dataclasses import replace

import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import LAST_FILE
from cnn_engine.runlog import events
from cnn_engine.runs.summary import read_state
from cnn_engine.training.control import Control

CPU = torch.device("cpu")
TWO_EPOCHS = "train.epochs=2"
STEPS, VALIDATION_BATCHES = 18, 3
EPOCH_CHECKS = STEPS + VALIDATION_BATCHES


class Killed(BaseException):
    """Ends an engine like a kill: nothing more is recorded or saved."""


def interrupt_at(monkeypatch, check, error):
    """Raise `error` in check number `check` of the control, of which there is one per step."""
    real, calls = Control.check, 0

    def counted(control):
        nonlocal calls
        calls += 1
        if calls == check:
            raise error
        real(control)

    monkeypatch.setattr(Control, "check", counted)


def results(run):
    """Return all results that must be equal; durations are not among them."""
    state, damaged = read_state(run.directory)
    assert damaged == 0
    epochs = [replace(epoch, time=0, train_seconds=0, val_seconds=0) for epoch in state.epochs]
    return epochs, state.test and replace(state.test, time=0, seconds=0)


def tensors_to_bytes(content):
    """Return a checkpoint with its tensors as bytes."""
    match content:
        case dict():
            return {key: tensors_to_bytes(value) for key, value in content.items()}
        case torch.Tensor():
            return content.dtype, content.shape, content.contiguous().numpy().tobytes()
    return content


def load_saved(run, file):
    content = checkpoint.load(run.directory.path / file, CPU)
    content.pop("train_seconds", None)
    return tensors_to_bytes(content)


def assert_same(run, other):
    assert results(run) == results(other)
    for file in ("best.pt", LAST_FILE):
        assert load_saved(run, file) == load_saved(other, file)


def resumed_events(run):
    return [event for event in run.events() if isinstance(event, events.RunResumed)]
