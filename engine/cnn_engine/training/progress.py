"""Counters of the training loop: how far a run is."""

from dataclasses import dataclass
from typing import Any

from cnn_engine.checkpoints.format import Position

STORED_NAMES = {
    "epoch": "epoch",
    "step": "step",
    "epoch_done": "epoch_is_done",
    "best_value": "best_value",
    "rollbacks": "rollbacks",
    "train_seconds": "train_seconds",
}
"""Keys in a checkpoint by name of the field."""


@dataclass(kw_only=True)
class TrainProgress:
    """Counters that the loop advances, and that a checkpoint restores."""

    epoch: int = 0
    """Current epoch, counted from 1; 0 before the first."""

    step: int = 0
    """Finished steps of the epoch."""

    epoch_done: bool = True
    """True once the epoch is finished, with its validation if due, and before the first one."""

    best_value: float
    """Best value so far of the metric that selects the best epoch; infinitely bad at first."""

    rollbacks: int = 0
    """Rollbacks to a checkpoint so far, after a loss that is not finite."""

    train_seconds: float = 0.0
    """Duration of the epoch's training steps."""

    @property
    def position(self) -> Position:
        """Return the epoch and step that training continues with."""
        return Position(self.epoch + 1, 0) if self.epoch_done else Position(self.epoch, self.step)

    def begin_epoch(self) -> None:
        """Advance to the next epoch."""
        self.epoch, self.step, self.train_seconds, self.epoch_done = self.epoch + 1, 0, 0.0, False

    def fraction(self, steps_per_epoch: int, epochs: int) -> float:
        """Return finished steps as a fraction of all, 0 to 1."""
        done = max(0, self.epoch - 1) * steps_per_epoch + self.step
        return min(1.0, done / (epochs * steps_per_epoch))

    def state_dict(self) -> dict[str, Any]:
        """Return the counters by their names in a checkpoint."""
        return {stored: getattr(self, name) for name, stored in STORED_NAMES.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the counters from a checkpoint; older ones have the lowest validation loss."""
        state = {"best_value": state.get("best_loss")} | state
        for name, stored in STORED_NAMES.items():
            setattr(self, name, state[stored])
