"""Runs that are stopped or killed at a given step, and their results."""

import math
from dataclasses import replace

import torch
from torch import nn

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
    """Ends the engine without recording or saving anything, like SIGKILL."""


def interrupt_at(monkeypatch, check, error):
    """Raise `error` in call number `check` of `Control.check`.

    The engine calls it once per training step and once per validation batch.
    """
    real, calls = Control.check, 0

    def check_or_raise(control):
        nonlocal calls
        calls += 1
        if calls == check:
            raise error
        real(control)

    monkeypatch.setattr(Control, "check", check_or_raise)


def poison(patches, first, last=math.inf, when=lambda module: module.training):
    """Make the model return NaN in calls `first` to `last`; log the loss after every step."""
    real, calls = nn.Module.__call__, 0

    def call(module, *arguments):
        nonlocal calls
        logits = real(module, *arguments)
        if type(module).__name__ == "CNN" and when(module):
            calls += 1
            if first <= calls <= last:
                return logits * math.nan
        return logits

    patches.setattr(nn.Module, "__call__", call)
    patches.setattr("cnn_engine.training.trainer.EVENT_SECONDS", 0.0)


def results(run):
    """Return the epochs and the test of a run, without times and durations."""
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
    """Return a checkpoint of the run with its tensors as bytes, without durations."""
    content = checkpoint.load(run.directory.path / file, CPU)
    content.pop("train_seconds", None)
    return tensors_to_bytes(content)


def assert_same(run, other):
    """Assert that two runs have equal results and checkpoints."""
    assert results(run) == results(other)
    for file in ("best.pt", LAST_FILE):
        assert load_saved(run, file) == load_saved(other, file)


def resumed_events(run):
    return [event for event in run.events() if isinstance(event, events.RunResumed)]
