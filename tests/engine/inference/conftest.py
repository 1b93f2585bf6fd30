"""Runs whose models the tests of `cnn-tui predict` use; none of them may change them."""

import json

import numpy as np
import pytest
from PIL import Image

from runs_for_tests import RunForTests


@pytest.fixture(scope="session")
def pets(tmp_path_factory):
    """A directory with a run on class folders that have a test folder, and the run."""
    where = tmp_path_factory.mktemp("pets")
    generator = np.random.default_rng(0)
    for part, count in (("train", 30), ("test", 20)):
        for label, name in enumerate(("cat", "dog")):
            folder = where / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(0, 156, (40, 30, 3)) + 50 * label
                Image.fromarray(noise.astype(np.uint8)).save(folder / f"{number:02}.jpg")
    run = RunForTests(
        where / "runs", f"data.path={where / 'photos'}", "train.epochs=2", preset="folder"
    )
    return where, run.train().directory


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    where = tmp_path_factory.mktemp("digits")
    return where, RunForTests(where / "runs", "train.epochs=2").train().directory


@pytest.fixture
def command(run_cli):
    """Return a function that runs `predict latest`: exit code, stdout, stderr."""
    return lambda *arguments, cwd: run_cli("predict", "latest", *arguments, cwd=cwd)


@pytest.fixture
def predict(command):
    """Return a function that runs `predict latest --json`: predictions, stderr."""

    def run(where, *arguments, code=0):
        ended, out, errors = command("--json", *arguments, cwd=where)
        assert ended == code, errors
        return [json.loads(line) for line in out.splitlines()], errors

    return run
