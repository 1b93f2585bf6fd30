"""Runs whose models the tests of `cnn-tui predict` use, without changing them."""

import json

import numpy as np
import pytest
from PIL import Image

from runs_for_tests import RunForTests


@pytest.fixture(scope="session")
def pets(tmp_path_factory):
    """Return a directory with a run on class folders split into train/ and test/, and the run."""
    directory = tmp_path_factory.mktemp("pets")
    generator = np.random.default_rng(0)
    for split, count in (("train", 30), ("test", 20)):
        for label, name in enumerate(("cat", "dog")):
            folder = directory / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(0, 156, (40, 30, 3)) + 50 * label
                Image.fromarray(noise.astype(np.uint8)).save(folder / f"{number:02}.jpg")
    run = RunForTests(
        directory / "runs", f"data.path={directory / 'photos'}", "train.epochs=2", preset="folder"
    )
    return directory, run.train().directory


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """Return a directory with a run on the bundled digits, and the run."""
    directory = tmp_path_factory.mktemp("digits")
    return directory, RunForTests(directory / "runs", "train.epochs=2").train().directory


@pytest.fixture
def command(run_cli):
    """Return a function that runs `predict latest`: exit code, stdout, stderr."""
    return lambda *arguments, cwd: run_cli("predict", "latest", *arguments, cwd=cwd)


@pytest.fixture
def predict(command):
    """Return a function that runs `predict latest --json`: predictions, stderr."""

    def run(directory, *arguments, code=0):
        exit_code, out, errors = command("--json", *arguments, cwd=directory)
        assert exit_code == code, errors
        return [json.loads(line) for line in out.splitlines()], errors

    return run
