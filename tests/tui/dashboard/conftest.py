"""Fixtures with the misclassified images of a trained run."""

import shutil
from pathlib import Path

import pytest

from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from runs_for_tests import RunForTests


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
