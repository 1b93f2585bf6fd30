"""Counts the steps and epochs of a loop."""

import math

from cnn_engine.config.limits import MAX_EPOCHS
from cnn_engine.runlog.position import position_of

STEP_NAMES = ("step", "global_step", "trainer/global_step", "train/global_step")
"""Names of a value that is the number of the step."""

EPOCH_NAMES = ("epoch", "train/epoch")
"""Names of a value that is the number of the epoch."""


class EpochNumbers:
    """Epochs counted from 1, from the values that a loop logs for them.

    Loops count epochs from 0 or from 1, or log fractions of them.
    """

    def __init__(self, finished: int) -> None:
        """Begin after `finished` epochs of earlier sessions."""
        self._finished = finished
        self._offset: int | None = None
        self._are_fractions = False

    def number(self, value: float) -> int:
        """Return the number of the epoch for a logged value, at least 1; 0 if it is none."""
        if not 0 <= value < MAX_EPOCHS:
            return 0
        self._are_fractions |= not value.is_integer()
        if self._are_fractions:
            return max(1, math.ceil(value))
        if self._offset is None:
            self._offset = 1 if value <= self._finished else 0
        return max(1, int(value) + self._offset)


def place(step: int, epoch: int, steps_per_epoch: int) -> tuple[int, int]:
    """Return epoch, counted from 1, and step within it, such that they give the total of steps.

    Args:
        step: Steps since the start of the run.
        epoch: Epoch of the step by the loop's own count; 0 if unknown.
        steps_per_epoch: 0 if unknown. If epochs have different lengths, the loop's own count does
            not fit, and the epoch is computed from the step.
    """
    epoch = max(1, epoch)
    if not steps_per_epoch:
        return epoch, step
    within = step - (epoch - 1) * steps_per_epoch
    if 0 <= within <= steps_per_epoch:
        return epoch, within
    return position_of(step, steps_per_epoch)
