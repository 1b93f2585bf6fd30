"""Which checkpoints a training writes and when, what is said if one fails, and using the best."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import BEST_FILE, LAST_FILE
from cnn_engine.checkpoints.writer import Writer
from cnn_engine.errors import UserError
from cnn_engine.models.renamed import rename_old_keys
from cnn_engine.runlog.events import CheckpointSaved, Notice
from cnn_engine.training.snapshot import snapshot, to_host, weights_of

if TYPE_CHECKING:
    from cnn_engine.training.trainer import Training


SHORT_SECONDS = 1.0
"""Least time between saves of the latest state after an epoch, where epochs are shorter (GPU)."""


def writes_behind(device: torch.device) -> bool:
    """Return whether files are written while training goes on.

    On a GPU a step takes less time than a file. On a processor the thread that writes would take
    from training what it saves, and memory for a copy of the state besides.
    """
    return device.type == "cuda"


class Saving:
    """Writes a training's checkpoints: behind the steps of a GPU, else before training goes on."""

    def __init__(self, training: "Training") -> None:
        self._training = training
        self._due_at, self._saved_at = math.inf, -math.inf
        self._is_behind = writes_behind(training.device)
        self.writer = Writer(behind=self._is_behind)
        self._best_loss_on_disk = math.inf

    def later(self) -> None:
        """The latest state is due again in as long as the config says."""
        training = self._training
        self._due_at = training.control.clock() + training.config.train.checkpoint_seconds

    def is_due(self, now: float) -> bool:
        """Return whether the latest state has not been saved for long."""
        return now >= self._due_at

    def is_due_after_epoch(self, now: float) -> bool:
        """Return whether the latest state is to be saved after an epoch that is not the last."""
        return not self._is_behind or now - self._saved_at >= SHORT_SECONDS

    def goes_on_from(self, best_loss: float) -> None:
        """Take note of the validation loss of what `best.pt` holds; infinite if there is none."""
        self._best_loss_on_disk = best_loss

    def save_last(self) -> None:
        """Save the latest state, from which training can go on."""
        self._save_state("last", self._training.say_trouble)

    def save_asked(self) -> str:
        """Save the latest state because a command asks for it; return what failed, if it did."""
        troubles: list[str] = []
        self._save_state("asked", troubles.append)
        self.writer.wait()
        return "".join(troubles)

    def _save_state(self, reason: Literal["last", "asked"], then: Callable[[str], None]) -> None:
        training = self._training
        event = CheckpointSaved(
            reason=reason, epoch=training.epoch, step=training.step, file=LAST_FILE
        )
        self._saved_at = training.control.clock()
        self._save(event, snapshot(training), then)
        self.later()

    def save_best(self, loss: float | None) -> None:
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

        def then(trouble: str) -> None:
            if trouble:
                # Of what best.pt holds: a worse epoch may still be better.
                training.best_loss = self._best_loss_on_disk
            training.say_trouble(trouble)

        self._save(event, weights_of(training), then)

    def _save(
        self, event: CheckpointSaved, content: dict[str, Any], then: Callable[[str], None]
    ) -> None:
        training = self._training
        if not training.learner.weights.are_finite():
            then(f"{event.file} is not saved, as weights are not numbers; {self._kept(event.file)}")
            return
        place = training.place
        if self._is_behind:
            content = to_host(content)

        def work() -> str:
            if event.file == LAST_FILE:
                content["best_loss"] = self._best_loss_on_disk
            try:
                training.recorder.sync()  # so that no checkpoint is ahead of the log
                checkpoint.save(training.recorder.run.path / event.file, content, place)
            except OSError as error:
                return f"{event.file} could not be saved: {error.strerror}"
            if event.new_loss is not None:
                self._best_loss_on_disk = event.new_loss
            return ""

        def tell(trouble: str) -> None:
            if trouble:
                then(f"{trouble}; {self._kept(event.file)}")
            else:
                training.recorder.record(event)
                then("")

        self.writer.write(work, tell)

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
    learner.weights.load_state_dict(rename_old_keys(learner.model, content["model"]))
    epoch, best = int(content["epoch"]), training.recorder.state.best
    if best is not None and best.epoch != epoch:  # as where the disk was full after that
        text = f"The test uses the weights of epoch {epoch}, which {BEST_FILE} holds, and not those"
        text += f" of epoch {best.epoch}, whose validation loss was least"
        training.recorder.record(Notice(text=text))
    return epoch
