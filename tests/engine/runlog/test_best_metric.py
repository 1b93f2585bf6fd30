"""The metric that selects the best epoch, and the state made with it."""

import math

import pytest

from cnn_engine.runlog.best_metric import (
    VAL_ACCURACY,
    VAL_LOSS,
    VAL_MACRO_F1,
    best_metric,
    macro_f1,
)
from cnn_engine.runlog.events import EpochFinished, RunResumed, RunStarted
from cnn_engine.runlog.state import RunState


def epoch(number, loss, correct, f1=0.5):
    return EpochFinished(
        epoch=number,
        train_loss=1.0,
        train_accuracy=0.5,
        val_loss=loss,
        correct=(correct,),
        total=(10,),
        train_seconds=1.0,
        val_seconds=1.0,
        val_macro_f1=f1,
    )


EPOCHS = [
    epoch(1, 0.9, 5, 0.3),
    epoch(2, math.nan, 9, 0.9),  # may not be the best by any metric
    epoch(3, 0.5, 6, 0.7),
    epoch(4, 0.7, 8, 0.6),
    epoch(5, 0.8, 8, None),
]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [(VAL_LOSS, [1, 3]), (VAL_ACCURACY, [1, 3, 4, 5]), (VAL_MACRO_F1, [1, 3])],
)
def test_bests_improve_and_the_later_of_equal_epochs_wins(metric, expected):
    assert [found.epoch for found in metric.bests(EPOCHS)] == expected
    assert not metric.bests([])


def started(best):
    config = {"train": {"epochs": 5, "best": best}}
    return RunStarted(run_id="1", name="", preset="", config=config, pid=1, host="", version="0")


@pytest.mark.parametrize(
    ("best", "expected", "after_undo"),
    [
        ("val_accuracy", 5, 3),
        ("val_macro_f1", 3, 3),
        (None, 3, 3),
        (["damaged"], 3, 3),
    ],
)
def test_state_follows_the_metric_of_the_config(best, expected, after_undo):
    state = RunState()
    for event in (started(best), *EPOCHS):
        state.apply(event)
    assert state.best.epoch == expected
    resumed = RunResumed(pid=1, host="", version="0", epoch=4, step=0, file="last.pt", seconds=1)
    state.apply(resumed)
    assert state.best.epoch == after_undo


def test_unknown_keys_mean_the_loss():
    assert best_metric("val_accuracy") is VAL_ACCURACY
    assert best_metric("of a newer version") is VAL_LOSS


def test_macro_f1_has_only_classes_that_occur_or_are_predicted():
    # Class 0: 2 of 4 correct, one other image taken for it. Class 2 does not occur.
    confusion = ((0, 1, 2), (1, 0, 1))
    assert macro_f1((2, 3, 0), (4, 4, 0), confusion) == pytest.approx((4 / 7 + 6 / 9) / 2)
    assert macro_f1((), (), ()) == 0
