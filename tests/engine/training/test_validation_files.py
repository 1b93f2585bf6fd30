"""`validation.json` and `validation_mistakes.json`, written while a run trains."""

import json
import shutil

import pytest

from cnn_engine.errors import DataError
from cnn_engine.results.mistakes import (
    MAX_OVERALL,
    MAX_VALIDATION_IMAGES,
    VALIDATION_MISTAKES_FILE,
    read_validation_mistakes,
)
from cnn_engine.results.predictions import VALIDATION_FILE, read_validation_predictions
from cnn_engine.runlog.events import Notice, RolledBack
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from cnn_engine.training import validation_files
from interrupted_runs import EPOCH_CHECKS, poison
from runs_for_tests import RunForTests


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a run whose last epoch is not the best one."""
    overrides = ("train.epochs=4", "train.seed=1", "optimizer.lr=0.06")
    return RunForTests(tmp_path_factory.mktemp("runs"), *overrides).train()


@pytest.fixture
def run(trained, tmp_path):
    """Return a copy of the run that a test may damage."""
    return RunDirectory(shutil.copytree(trained.directory.path, tmp_path / "run"))


def test_files_are_of_the_best_and_of_the_last_validation(trained):
    state, _ = read_state(trained.directory)
    assert state.best.epoch != state.epochs[-1].epoch
    stored = read_validation_predictions(trained.directory, state)
    assert stored.epoch == state.best.epoch == state.test.epoch
    assert sum(stored.is_correct) == sum(state.best.correct)
    assert len(stored.names) == len(set(stored.names)) == state.prepared.val_images
    assert stored.fingerprint.startswith(state.prepared.environment["images"])
    assert all(
        (of_target == confidence) if is_correct else (of_target <= confidence)
        for of_target, confidence, is_correct in zip(
            stored.target_confidence, stored.confidence, stored.is_correct, strict=True
        )
    )
    epoch, mistakes = read_validation_mistakes(trained.directory, state)
    last = state.epochs[-1]
    assert epoch == last.epoch
    assert MAX_OVERALL < len(mistakes) <= MAX_VALIDATION_IMAGES
    counted = {(target, predicted): count for target, predicted, count in last.confusion}
    assert all((mistake.target, mistake.predicted) in counted for mistake in mistakes)


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_bytes()) | values))


@pytest.mark.parametrize(
    ("read", "file"),
    [
        (read_validation_predictions, VALIDATION_FILE),
        (read_validation_mistakes, VALIDATION_MISTAKES_FILE),
    ],
)
def test_file_of_another_or_no_validation_is_refused(run, read, file):
    state, _ = read_state(run)
    edit(run.path / file, epoch=9)
    with pytest.raises(DataError, match="a validation that the run's log does not have"):
        read(run, state)
    (run.path / file).unlink()
    with pytest.raises(DataError, match="there is no such file; training writes it"):
        read(run, state)


def test_mistakes_of_an_undone_validation_of_the_same_epoch_are_refused(run):
    state, _ = read_state(run)
    edit(run.path / VALIDATION_MISTAKES_FILE, loss=1.5)
    with pytest.raises(DataError, match="or that was undone"):
        read_validation_mistakes(run, state)


def test_files_are_written_rarely_but_always_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(validation_files, "MIN_PAUSE", 10**6)
    written = []
    real = validation_files.write_result
    monkeypatch.setattr(
        validation_files,
        "write_result",
        lambda path, *values: (written.append(path.name), real(path, *values)),
    )
    run = RunForTests(tmp_path, "train.epochs=6").train()
    assert sorted(written) == 2 * [VALIDATION_FILE] + 2 * [VALIDATION_MISTAKES_FILE]
    state = run.live_state
    assert read_validation_predictions(run.directory, state).epoch == state.best.epoch
    assert read_validation_mistakes(run.directory, state).epoch == 6


def test_results_undone_by_a_rollback_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(validation_files, "MIN_PAUSE", 10**6)
    monkeypatch.setattr("cnn_engine.training.checkpointer.Checkpointer.save_last", lambda *_: None)
    poison(monkeypatch, 50, 50)
    run = RunForTests(tmp_path, "train.epochs=3", "train.on_non_finite=rollback").train()
    assert any(isinstance(event, RolledBack) and event.epoch == 1 for event in run.events())
    state, _ = read_state(run.directory)
    assert read_validation_predictions(run.directory, state).epoch == state.best.epoch
    assert read_validation_mistakes(run.directory, state).epoch == 3


@pytest.mark.usefixtures("small_validation_batches")
def test_resumed_run_writes_the_predictions_that_a_killed_process_did_not(interrupted_run):
    run = interrupted_run(2 * EPOCH_CHECKS + 1)  # stopped in the test
    path = run.directory.path / VALIDATION_FILE
    before = path.read_bytes()
    path.unlink()
    run.resume()
    assert run.live_state.test is not None
    assert path.read_bytes() == before


def test_run_without_validation_writes_neither(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1", "data.validation_fraction=0").train()
    assert not list(run.directory.path.glob("validation*"))
    assert not [event for event in run.events() if isinstance(event, Notice)]
