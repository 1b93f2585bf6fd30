"""Fixtures of tests that interrupt and resume runs."""

import pytest

from cnn_engine.training.control import StopRequested
from interrupted_runs import TWO_EPOCHS, interrupt_at
from runs_for_tests import RunForTests


@pytest.fixture
def small_validation_batches(monkeypatch):
    """Evaluate 100 images per batch, so that validation has several batches."""
    monkeypatch.setattr("cnn_engine.evaluation.evaluate.EVALUATION_PIXELS", {"cpu": 100 * 8 * 8})


@pytest.fixture
def interrupted_run(tmp_path, monkeypatch):
    """Return a function that trains a run and stops or kills it at a given check."""

    def train(check, *overrides, error=None):
        run = RunForTests(tmp_path, TWO_EPOCHS, *overrides)
        with monkeypatch.context() as patches:
            interrupt_at(patches, check, error or StopRequested("test"))
            patches.setattr("threading.excepthook", lambda _: None)
            run.train()
        return run

    return train


_UNINTERRUPTED = {}


@pytest.fixture
def uninterrupted_run(tmp_path_factory, small_validation_batches):
    """Return a function that trains an uninterrupted run, once per settings."""

    def train(*overrides):
        if overrides not in _UNINTERRUPTED:
            directory = tmp_path_factory.mktemp("uninterrupted")
            _UNINTERRUPTED[overrides] = RunForTests(directory, TWO_EPOCHS, *overrides).train()
        return _UNINTERRUPTED[overrides]

    return train
