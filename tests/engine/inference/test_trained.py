"""`load_trained_model`: the best model of a run."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import Position
from cnn_engine.data.dataset import load_dataset
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.inference.trained import load_trained_model
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state
from runs_for_tests import RunForTests


def test_trained_model_matches_the_final_test(tmp_path: Path) -> None:
    run = RunForTests(tmp_path, "train.epochs=2").train()
    trained, state = load_trained_model(run.directory), read_state(run.directory)[0]
    data = load_dataset(trained.config.data, trained.config.train.seed, lambda *_: None)
    predicted = trained.logits(data.images[data.test]).argmax(dim=1)
    correct = data.labels[data.test][predicted == data.labels[data.test]]
    counts = torch.bincount(correct, minlength=len(trained.classes)).tolist()
    assert state.test is not None
    assert tuple(counts) == state.test.correct
    assert trained.epoch == state.test.epoch


def test_load_without_checkpoint_raises(tmp_path: Path) -> None:
    directory = create_run(tmp_path)
    Recorder(directory).close()
    with pytest.raises(ConfigError, match="has no model yet"):
        load_trained_model(directory)


def test_load_refuses_weights_of_another_model(tmp_path: Path) -> None:
    run = RunForTests(tmp_path, "train.epochs=1").train()
    other = RunForTests(tmp_path, "train.epochs=1", "model.hidden=[24]").train()
    (other.directory.path / "best.pt").replace(run.directory.path / "best.pt")
    with pytest.raises(ConfigError, match=r"is 24.*expected 16"):
        load_trained_model(run.directory)


def test_load_refuses_other_classes(tmp_path: Path) -> None:
    run = RunForTests(tmp_path, "train.epochs=1").train()
    log = run.directory.events.read_text()
    run.directory.events.write_text(log.replace('"classes":["0","1"', '"classes":["1","0"', 1))
    with pytest.raises(DataError, match="does not have the classes of the run's log"):
        load_trained_model(run.directory)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("command", [("test",), ("predict", "a.png"), ("export", "--to", "onnx")])
def test_weights_that_are_not_finite_are_refused(
    tmp_path: Path, run_cli: Any, value: float, command: tuple[str, ...]
) -> None:
    """A model whose weights are no numbers is no model to test, use or export."""
    run = RunForTests(tmp_path / "runs", "train.epochs=1").train().directory
    best = run.path / "best.pt"
    content = checkpoint.load(best, torch.device("cpu"))
    content["model"]["blocks.0.0.weight"][0, 0, 0, 0] = value
    checkpoint.save(best, content, Position(1, 0))
    (tmp_path / "a.png").touch()
    name, *arguments = command
    code, _, errors = run_cli(name, run.id, *arguments, cwd=tmp_path)
    assert code == 3
    assert "best.pt: blocks.0.0.weight has values that are NaN or infinite" in errors
