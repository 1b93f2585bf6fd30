"""Fixtures of the dashboard: a fixed time, and a trained run with misclassified images."""

import shutil
import time
from pathlib import Path

import pytest

from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from golden import NOW
from runs_for_tests import RunForTests


@pytest.fixture
def fixed_time(monkeypatch):
    """Fix the time, as the screens show ages."""
    monkeypatch.setattr(time, "time", lambda: NOW)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Trained run that misclassifies test images; no test changes it."""
    return RunForTests(tmp_path_factory.mktemp("runs"), "train.epochs=2").train().directory


@pytest.fixture
def run(trained, tmp_path):
    """Copy of the trained run, which a test may damage."""
    return RunDirectory(Path(shutil.copytree(trained.path, tmp_path / "runs" / "copy")))


@pytest.fixture
def finished_test(run):
    """`TestFinished` event of the run."""
    return read_state(run)[0].test
