"""Texts for events."""

import math

import pytest

from cnn_engine.runlog.events import CheckpointSaved
from cnn_tui.text.events import loss_change_text
from cnn_tui.text.log_lines import log_line


@pytest.mark.parametrize(
    ("old_loss", "expected"), [(math.inf, "1.2750"), (None, "1.2750"), (2.0, "2.0000 → 1.2750")]
)
def test_the_first_checkpoint_has_no_infinite_loss_before(old_loss, expected):
    saved = CheckpointSaved(
        file="best.pt", epoch=1, reason="best", old_loss=old_loss, new_loss=1.275
    )
    assert loss_change_text(saved) == expected
    assert expected in log_line(saved).text
    assert "inf" not in log_line(saved).text
