"""`train.best`: the metric that selects the epoch that is saved, tested and marked."""

import math

import pytest
import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import Position
from cnn_engine.results.metrics import metrics_of
from cnn_engine.results.predictions import read_validation_predictions
from cnn_engine.runlog import events
from cnn_engine.runlog.events import CheckpointSaved
from cnn_engine.runs.summary import read_state, read_summary
from interrupted_runs import results
from runs_for_tests import RunForTests, events_of

CPU = torch.device("cpu")
FOUR_EPOCHS = ("train.epochs=4", "optimizer.lr=0.03")
"""Of these epochs the last has the lowest loss, and the third the highest accuracy and F1."""


@pytest.fixture(scope="module")
def by_accuracy(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    return RunForTests(directory, *FOUR_EPOCHS, "train.best=val_accuracy").train()


def test_epoch_with_the_highest_accuracy_is_saved_and_tested(by_accuracy):
    state, _ = read_state(by_accuracy.directory)
    assert min(state.epochs, key=lambda epoch: epoch.val_loss).epoch == 4
    assert state.best.epoch == state.test.epoch == state.best_checkpoint_epoch == 3
    assert state.best_epochs == {1, 2, 3}
    saved = checkpoint.load(by_accuracy.directory.path / "best.pt", CPU)
    last = checkpoint.load(by_accuracy.directory.path / "last.pt", CPU)
    assert (saved["epoch"], saved["best_value"]) == (3, state.best.val_accuracy)
    assert last["best_value"] == state.best.val_accuracy
    changes = [event for event in events_of(by_accuracy.directory, CheckpointSaved) if event.change]
    accuracies = [epoch.val_accuracy for epoch in state.epochs]
    assert [event.change for event in changes] == [
        (-math.inf, accuracies[0]),
        (accuracies[0], accuracies[1]),
        (accuracies[1], accuracies[2]),
    ]
    assert {(event.metric, event.old_loss, event.new_loss) for event in changes} == {
        ("val_accuracy", None, None)
    }
    assert read_validation_predictions(by_accuracy.directory, state).epoch == 3
    summary = read_summary(by_accuracy.directory)
    assert (summary.best_epoch, summary.best_metric) == (3, "val_accuracy")
    assert summary.best_val_loss == state.epochs[2].val_loss


def test_resumed_run_compares_with_the_best_accuracy_before(tmp_path, by_accuracy):
    settings = ("train.epochs=3", "optimizer.lr=0.03", "train.best=val_accuracy")
    run = RunForTests(tmp_path, *settings).train()
    run.resume(epochs=4)
    assert results(run) == results(by_accuracy)
    assert checkpoint.load(run.directory.path / "best.pt", CPU)["epoch"] == 3


def test_macro_f1_of_an_epoch_is_that_of_its_counts(tmp_path):
    settings = ("train.epochs=6", "optimizer.lr=0.03", "train.best=val_macro_f1")
    run = RunForTests(tmp_path, *settings, "train.patience=1").train()
    state, _ = read_state(run.directory)
    scores = [epoch.val_macro_f1 for epoch in state.epochs]
    assert state.best.epoch == state.test.epoch == 1 + scores.index(max(scores)) == 3
    last = state.epochs[-1]
    counts = {name: getattr(last, name) for name in ("epoch", "correct", "total", "confusion")}
    test = events.TestFinished(loss=0, seconds=0, **counts)
    assert last.val_macro_f1 == metrics_of(test, None).macro.f1
    assert len(state.epochs) == 4
    assert any("no epoch was better than 3" in notice.text for notice in state.notices)


def test_older_checkpoint_with_the_best_loss_is_resumed(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1").train()
    best = run.live_state.best.val_loss
    for file in ("last.pt", "best.pt"):
        path = run.directory.path / file
        content = checkpoint.load(path, CPU)
        content["best_loss"] = content.pop("best_value")
        checkpoint.save(path, content, Position(2, 0))
    run.resume(epochs=2)
    old = [event.change[0] for event in events_of(run.directory, CheckpointSaved) if event.change]
    assert old == [math.inf, best]
