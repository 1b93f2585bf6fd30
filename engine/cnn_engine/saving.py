"""Which checkpoints a training writes and when, what is said if one fails, and using the best."""

import math
from typing import TYPE_CHECKING, Any, Literal

from cnn_engine import checkpoint
from cnn_engine.checkpoint_files import BEST_FILE, LAST_FILE
from cnn_engine.errors import UserError
from cnn_engine.events import CheckpointSaved, Notice
from cnn_engine.snapshot import snapshot, weights_of

if TYPE_CHECKING:
    from cnn_engine.train import Training


class Saving:
    """Writes a training's checkpoints; each method says why one could not be, if so."""

    def __init__(self, training: "Training") -> None:
        self._training = training
        self._due_at = math.inf

    def later(self) -> None:
        """The latest state is due again in as long as the config says."""
        training = self._training
        self._due_at = training.control.clock() + training.config.train.checkpoint_seconds

    def is_due(self, now: float) -> bool:
        """Whether the latest state has not been saved for long."""
        return now >= self._due_at

    def save_last(self, reason: Literal["last", "asked"]) -> str:
        """Save the latest state, from which training can go on."""
        training = self._training
        event = CheckpointSaved(
            reason=reason, epoch=training.epoch, step=training.step, file=LAST_FILE
        )
        trouble = self._save(event, snapshot(training))
        self.later()
        return trouble

    def save_best(self, loss: float | None) -> str:
        """Save the weights to use: those of the least loss; with None, because they are the last.

        The latter is where no images are held back to choose by.
        """
        training, old = self._training, self._training.best_loss
        training.best_loss = old if loss is None else loss
        event = CheckpointSaved(
            reason="best",
            epoch=training.epoch,
            step=training.step,
            file=BEST_FILE,
            old_loss=None if loss is None else old,
            new_loss=loss,
        )
        trouble = self._save(event, weights_of(training))
        if trouble:
            training.best_loss = old  # of what best.pt holds: a worse epoch may still be better
        return trouble

    def _save(self, event: CheckpointSaved, content: dict[str, Any]) -> str:
        training = self._training
        if not training.learner.weights.are_finite():
            return (
                f"{event.file} is not saved, as weights are not numbers; {self._kept(event.file)}"
            )
        try:
            path = training.recorder.run.path / event.file
            checkpoint.save(path, content, training.place)
        except OSError as error:
            why = error.strerror
            return f"{event.file} could not be saved: {why}; {self._kept(event.file)}"
        training.recorder.record(event)
        return ""

    def _kept(self, file: str) -> str:
        """What stands instead of a checkpoint that could not be saved."""
        saved = [each for each in self._training.recorder.state.checkpoints if each.file == file]
        return f"that of epoch {saved[-1].epoch} stands" if saved else "there is none yet"


def use_best(training: "Training") -> int:
    """Put the best weights into the model, or the last if that fails; the epoch they are from."""
    learner = training.learner
    try:
        content = checkpoint.load(training.recorder.run.path / BEST_FILE, training.device)
    except UserError as error:
        text = f"{error}; the test uses the weights of the last epoch instead"
        training.recorder.record(Notice(text=text))
        if learner.average is not None:
            learner.weights.load_state_dict(learner.average.state_dict()["model"])
        return training.epoch
    learner.weights.load_state_dict(content["model"])
    epoch, best = int(content["epoch"]), training.recorder.state.best
    if best is not None and best.epoch != epoch:  # as where the disk was full after that
        text = f"The test uses the weights of epoch {epoch}, which {BEST_FILE} holds, and not those"
        text += f" of epoch {best.epoch}, whose validation loss was least"
        training.recorder.record(Notice(text=text))
    return epoch
