"""Texts, tables and charts of runs whose best epoch is not that with the lowest loss."""

import math
from types import SimpleNamespace

import pytest

from cnn_engine.runlog.events import CheckpointSaved, EpochFinished, RunFinished, RunStarted
from cnn_engine.runlog.state import RunState
from cnn_tui.dashboard.class_results import latest_results
from cnn_tui.dashboard.compared import _best_rows
from cnn_tui.dashboard.widgets.epoch_table import EpochTable
from cnn_tui.dashboard.widgets.run_progress import RunProgress
from cnn_tui.exports.svg import accuracy_svg, loss_svg
from cnn_tui.headless.printer import _result_lines
from cnn_tui.text.best import best_values, mark_text
from cnn_tui.text.events import best_change_text
from cnn_tui.text.log_lines import log_line


def finished(epoch, loss, correct, macro_f1):
    return EpochFinished(
        epoch=epoch,
        train_loss=loss,
        train_accuracy=0.5,
        val_loss=loss,
        correct=correct,
        total=(50, 50),
        train_seconds=1.0,
        val_seconds=1.0,
        val_macro_f1=macro_f1,
    )


def saved(key, epoch, old, new):
    names = ("old_loss", "new_loss") if key == "val_loss" else ("old_value", "new_value")
    values = dict(zip(names, (old, new), strict=True))
    return CheckpointSaved(reason="best", file="best.pt", epoch=epoch, metric=key, **values)


EPOCHS = [
    finished(1, 0.9, (30, 31), 0.61),
    finished(2, 0.8, (45, 38), 0.83),
    finished(3, 0.7, (40, 40), 0.82),
]
BEST = {"val_loss": 3, "val_accuracy": 2, "val_macro_f1": 2}
VALUES = {"val_loss": (0.8, 0.7), "val_accuracy": (0.61, 0.83), "val_macro_f1": (0.61, 0.83)}


def state_of(key):
    """Return a finished run with that `train.best`."""
    state = RunState()
    config = {"train": {"best": key, "epochs": 3}}
    state.apply(
        RunStarted(run_id="1", name="", preset="", config=config, pid=1, host="", version="0")
    )
    for epoch in EPOCHS:
        state.apply(epoch)
        if epoch.epoch == BEST[key]:
            state.apply(saved(key, epoch.epoch, *VALUES[key]))
    state.apply(RunFinished(status="done", exit_code=0, seconds=6.0))
    return state


def plain(lines):
    return [line.plain for line in lines]


@pytest.mark.parametrize(
    ("key", "texts", "best"),
    [
        (
            "val_loss",
            (
                "0.8000 → 0.7000",
                "Validation loss decreased (0.8000 --> 0.7000). Saving model as best.pt",
                "best epoch 3 of 3   val loss 0.7000",
                "  3    2.0s  0.7000  0.7000 ★  80.0%",
            ),
            ["validation loss 0.7000", "accuracy 80.00%"],
        ),
        (
            "val_accuracy",
            (
                "61.00% → 83.00%",
                "Validation accuracy increased (0.6100 --> 0.8300). Saving model as best.pt",
                "best epoch 2 of 3   val accuracy 83.00%",
                "  2    2.0s  0.8000  0.8000  83.0% ★",
            ),
            ["validation accuracy 83.00%", "loss 0.8000"],
        ),
        (
            "val_macro_f1",
            (
                "F1 0.6100 → 0.8300",
                "Validation macro F1 increased (0.6100 --> 0.8300). Saving model as best.pt",
                "best epoch 2 of 3   val macro F1 0.8300",
                "  2    2.0s  0.8000  0.8000  0.830 ★",
            ),
            ["validation macro F1 0.8300", "loss 0.8000", "accuracy 83.00%"],
        ),
    ],
)
def test_best_epoch_is_described_by_its_metric(key, texts, best):
    change, line, result, row = texts
    state = state_of(key)
    event = saved(key, BEST[key], *VALUES[key])
    assert best_change_text(event) == change
    assert f"best so far, {change}: saved as best.pt" in log_line(event).text
    assert _result_lines(event, state) == [line]
    assert best_values(state.best, state.best_metric) == best
    assert result in plain(RunProgress().draw(state, 100, 1))[0]
    table = EpochTable().draw(state, 40, 9)
    rows = plain(table[y] for y in range(len(table)))
    assert row in rows
    assert sum("★" in each for each in rows) == 1


def test_first_best_value_has_none_before():
    assert best_change_text(saved("val_accuracy", 1, -math.inf, 0.61)) == "61.00%"
    assert best_change_text(CheckpointSaved(reason="best", file="best.pt", epoch=1)) == ""


def test_marks_and_charts_name_the_metric():
    accuracy, loss = state_of("val_accuracy"), state_of("val_loss")
    assert mark_text(loss.best_metric) == "★ lowest validation loss so far"
    assert mark_text(accuracy.best_metric) == "★ highest validation accuracy so far"
    assert "★" in accuracy_svg(accuracy)
    assert "★" not in accuracy_svg(loss)
    assert "the lowest was 0.7000 in epoch 3" in loss_svg(loss)
    assert "the best epoch was 2, by validation accuracy" in loss_svg(accuracy)


def test_classes_are_compared_with_the_best_earlier_epoch():
    assert latest_results(state_of("val_loss")).best_correct == (45, 38)
    state = state_of("val_accuracy")
    state.epochs.append(finished(4, 0.75, (42, 40), 0.82))
    assert latest_results(state).best_correct == (45, 38)  # and not the third, of lower loss


def compared(state):
    """Return what the comparison needs to know of a run."""
    return SimpleNamespace(state=state, states=[state])


def test_runs_with_different_metrics_are_compared_by_each_ones_best_epoch():
    runs = [compared(state_of(metric)) for metric in ("val_loss", "val_accuracy")]
    rows = {row.label.strip(): row.cells for row in _best_rows(runs)}
    assert rows["best epoch by"] == ["val loss", "val accuracy"]
    assert rows["its epoch"] == ["3", "2"]
    assert rows["its val loss"] == ["0.7000", "0.8000"]
    labels = [row.label for row in _best_rows([runs[1], runs[1]])]
    assert labels == ["best val accuracy", "  its loss", "  its epoch"]
