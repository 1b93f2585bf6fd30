"""Texts for events."""

import math

import pytest

from cnn_engine.runlog.events import CheckpointSaved, EpochFinished
from cnn_tui.text.events import best_change_text
from cnn_tui.text.log_lines import log_line


@pytest.mark.parametrize(
    ("old_loss", "expected"), [(math.inf, "1.2750"), (None, "1.2750"), (2.0, "2.0000 → 1.2750")]
)
def test_the_first_checkpoint_has_no_infinite_loss_before(old_loss, expected):
    saved = CheckpointSaved(
        file="best.pt", epoch=1, reason="best", old_loss=old_loss, new_loss=1.275
    )
    assert best_change_text(saved) == expected
    assert expected in log_line(saved).text
    assert "inf" not in log_line(saved).text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"train_loss": 0.5}, "train 0.5000, 2.0 s + 0.0 s"),
        ({"val_loss": 0.7}, "val 0.7000, 2.0 s + 0.0 s"),
        ({"correct": (9,), "total": (10,)}, "accuracy 90.0%, 2.0 s + 0.0 s"),
    ],
)
def test_epoch_of_a_loop_has_only_the_values_that_it_logs(values, expected):
    unknown = {"train_loss": math.nan, "train_accuracy": math.nan, "val_loss": math.nan}
    unknown |= {"correct": (), "total": (), "confusion": ()}
    epoch = EpochFinished(epoch=3, train_seconds=2.0, val_seconds=0.0, **unknown | values)
    assert log_line(epoch).text == f"epoch 3 finished: {expected}"
