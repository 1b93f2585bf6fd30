"""The training loop, top to bottom."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from cnn_engine import checkpoint
from cnn_engine.augment import Views, epoch_views
from cnn_engine.batches import batch_sizes, batches_on, epoch_order
from cnn_engine.budget import Budget
from cnn_engine.checkpoint_files import Place, newest
from cnn_engine.config import Config
from cnn_engine.control import Control, StopRequested, Throttle
from cnn_engine.data import DataSet
from cnn_engine.device import choose_device
from cnn_engine.errors import NonFiniteError, TrainingError
from cnn_engine.evaluate import Evaluation
from cnn_engine.events import (
    CommandApplied,
    EpochFinished,
    EpochStarted,
    Notice,
    RolledBack,
    StageStarted,
    ValidationProgressed,
)
from cnn_engine.final_test import run_test
from cnn_engine.gpu import gpu_meter
from cnn_engine.inspect import a_few_of_each_class, keep_layers, keep_maps
from cnn_engine.learner import Learner
from cnn_engine.meter import EVENT_SECONDS, StepMeter
from cnn_engine.preparing import new_model, prepared
from cnn_engine.recorder import Recorder
from cnn_engine.resume import set_damaged_aside
from cnn_engine.saving import Saving
from cnn_engine.schedule import rate_share
from cnn_engine.snapshot import check_images, restore
from cnn_engine.step_parts import StepParts

MOST_ROLLBACKS = 5
"""A loss that is not a number after as many halvings of the learning rate has another cause."""


class Training:
    """A model in training: the loop, and what it holds from step to step."""

    def __init__(  # noqa: PLR0913 - all that a training is made from
        self,
        config: Config,
        data: DataSet,
        recorder: Recorder,
        control: Control,
        file: Path | None = None,
        *,
        surroundings: Mapping[str, str] | None = None,
    ) -> None:
        """Build the model, and move it and the images to the device.

        Args:
            config: What to train.
            data: The images.
            recorder: Where events go.
            control: Looked at between steps.
            file: Checkpoint to go on from; without one, training begins.
            surroundings: What else is to be recorded of the run's environment.

        Raises:
            ConfigError: the device asked for is not there, or the checkpoint is of another model.
            DataError: the images have changed, or the checkpoint is damaged.
        """
        self.config, self.data, self.recorder, self.control = config, data, recorder, control
        if file is not None:
            check_images(recorder.state.prepared, data)
        recorder.record(StageStarted(stage="model"))
        self.device = choose_device(config.train)
        control.machine.measure_gpu = gpu_meter(self.device)
        self.batches = batches_on(self.device, data, config.data.mean, config.data.std)
        self.fingerprint = data.fingerprint()
        self.steps_per_epoch = len(self._sizes())
        self.saving = Saving(self)
        self._parts = StepParts(self.device)
        self._budget: Budget | None = None
        self._build(begins=file is None)
        differences = self._restore(file) if file else ()
        recorder.record(prepared(self, differences, surroundings or {}))
        if differences:
            text = f"Goes on approximately, not to the last digit: {'; '.join(differences)}"
            recorder.record(Notice(text=text))
        self.say_trouble(keep_layers(self))
        self._keep_maps()

    def _build(self, *, begins: bool) -> None:
        """Make what learns, with its initial weights, and stand before the first epoch."""
        torch.manual_seed(self.config.train.seed)
        model = new_model(self.config, self.data, self.recorder, begins=begins)
        self.learner = Learner(model, self.config, self.data, self.batches, self._parts)
        self.epoch = self.rollbacks = 0
        self.best_loss = math.inf
        self._forget_epoch()
        self.epoch_is_done = True

    def _sizes(self) -> list[int]:
        """Images of each of an epoch's batches."""
        return batch_sizes(len(self.data.train), self.config.train.batch_size)

    def _forget_epoch(self) -> None:
        """No steps of the epoch are done."""
        self.step, self.train_seconds = 0, 0.0
        self.losses = torch.zeros(self.steps_per_epoch, device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self._meter: StepMeter | None = None
        self._said: set[str] = set()

    def _restore(self, file: Path) -> tuple[str, ...]:
        """Go on from a checkpoint; what is other here than where it was made."""
        content = checkpoint.load(file, self.device)
        return restore(self, content, file.name)

    def run(self) -> None:
        """Train every epoch, then test the best one.

        Raises:
            TrainingError: the loss or a weight is no longer a number.
            StopRequested: the user asked to stop; the last checkpoint is saved.
        """
        self.control.begin_training(self)
        seconds = self.config.train.budget_seconds
        self._budget = Budget(seconds, self) if seconds is not None else None
        self.saving.later()
        while self.epoch < self.epochs or not self.epoch_is_done:
            try:
                self._run_epoch()
            except StopRequested:
                self._save_last()
                raise
            except NonFiniteError as error:
                if self.config.train.on_non_finite != "rollback":
                    raise TrainingError(f"{error}; try {self._cure()}") from None
                self._roll_back(str(error))
                continue
            self.control.end_epoch()
        self.control.end_training()
        run_test(self)

    @property
    def place(self) -> Place:
        """Where training goes on from what there is now."""
        return Place(self.epoch + 1, 0) if self.epoch_is_done else Place(self.epoch, self.step)

    @property
    def epochs(self) -> int:
        """Epochs to train in all; a command may change it."""
        return self.config.train.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        self.config = self.config.replaced("train", epochs=epochs)

    def end_after(self, epochs: int, by: Literal["patience", "budget"]) -> None:
        """Train so many epochs in all, because the config says so."""
        self.epochs = epochs
        self.recorder.record(CommandApplied(command="epochs", by=by, value=float(epochs)))

    @property
    def progress(self) -> float:
        """Steps done of all, 0 to 1."""
        done = max(0, self.epoch - 1) * self.steps_per_epoch + self.step
        return min(1.0, done / (self.epochs * self.steps_per_epoch))

    @property
    def lr(self) -> float:
        """Learning rate of the next step; a command may change it, and with it all later ones."""
        return self.learner.optimizer.lr * self._share()

    @lr.setter
    def lr(self, lr: float) -> None:
        self.learner.optimizer.lr = lr / self._share()

    def _share(self) -> float:
        """What the schedule makes of the learning rate now; more than nothing, but at the end."""
        return rate_share(self.config.schedule, self.progress)

    def save_asked(self) -> str:
        """Save the latest state now, because a command asked for it; why it could not be, if so."""
        return self._write_last("asked")

    def begin_epoch(self) -> None:
        """Go to the next epoch, of which no steps are done."""
        self.epoch += 1
        self._forget_epoch()
        self.epoch_is_done = False

    def _run_epoch(self) -> None:
        """Train and validate the next epoch, or the rest of the one in hand."""
        if self.epoch_is_done:
            self.begin_epoch()
        self.recorder.record(EpochStarted(epoch=self.epoch, step=self.step))
        train_loss, train_accuracy = self.train_epoch()
        self._judge_weights()
        trained = self.control.clock()
        validation = self._validate() if self._is_to_be_validated() else None
        self.recorder.record(
            EpochFinished(
                epoch=self.epoch,
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                val_loss=validation.loss if validation else math.nan,
                correct=validation.correct if validation else (),
                total=validation.total if validation else (),
                train_seconds=self.train_seconds,
                val_seconds=self.control.clock() - trained,
                confusion=validation.confusion if validation else (),
            )
        )
        self.epoch_is_done = True
        if validation is not None:
            self._judge(validation.loss)
        elif not len(self.data.val):
            self.say_trouble(self.saving.save_best(None))
        if self._budget is not None:
            self._budget.epoch_done()
        self._save_last()
        if validation is not None:
            self._keep_maps()

    def _is_to_be_validated(self) -> bool:
        due = self.epoch % self.config.train.validate_every == 0 or self.epoch >= self.epochs
        return due and len(self.data.val) > 0

    def _judge_weights(self) -> None:
        """See that there is something to validate and to save, which losses alone do not tell.

        Where no loss depends on a weight it is spoiled unseen. PyTorch 2.14 does so: of a padded
        depthwise convolution with a stride over maps of 1x1, in bf16 on a processor, the part of
        the gradient that is always 0 is memory that nobody wrote.

        Raises:
            NonFiniteError: there is not.
        """
        if not self.learner.weights.are_finite():
            self._not_finite(f"weights are no longer numbers after the steps of epoch {self.epoch}")

    def _judge(self, loss: float) -> None:
        """Keep the epoch if it is the best, by its validation loss; end if none has been for long.

        Raises:
            NonFiniteError: the loss is not a number.
        """
        if not math.isfinite(loss):
            self._not_finite(f"validation loss became {loss} in epoch {self.epoch}")
        elif loss <= self.best_loss:
            self.say_trouble(self.saving.save_best(loss))
        else:
            self._lose_patience()

    def _lose_patience(self) -> None:
        """End training if no epoch has been better for as long as the config says."""
        patience, best = self.config.train.patience, self.recorder.state.best
        if patience is None or best is None or self.epoch >= self.epochs:
            return
        if (since := self.epoch - best.epoch) >= patience:
            text = f"No epoch was better than {best.epoch} for {since} epochs"
            self.recorder.record(Notice(text=f"{text}; training ends, as train.patience says"))
            self.end_after(self.epoch, by="patience")

    def train_epoch(self) -> tuple[float, float]:
        """Train on every image once; the mean loss and the accuracy, as each image was seen.

        Both stay on the device until someone is to see them: nothing here waits for a GPU. Steps
        that are done already are passed over.
        """
        train, clock, sizes = self.config.train, self.control.clock, self._sizes()
        learner, parts = self.learner, self._parts
        order = epoch_order(self.data.train, train.seed, self.epoch)
        views, done = self._views(order), self.step * train.batch_size
        meter = self._meter = StepMeter(
            self.recorder, clock, parts, self.epoch, sizes, self.losses, self.step
        )
        began = clock() - self.train_seconds
        learner.begin_epoch(self.epoch)
        parts.begin_step()
        for images, labels in self.batches.cut(
            order[done:], train.batch_size, views and views.part(done, len(order))
        ):
            parts.done("data")
            learner.optimizer.share = self._share()
            scores, loss = learner.train_step(images, labels)
            self.losses[self.step] = loss
            self.correct += (scores.argmax(dim=1) == labels).sum()
            self.step += 1
            if learner.average is not None:
                learner.average.step_done(self.progress)
            self.train_seconds = clock() - began
            if self._budget is not None:
                self._budget.step_done()
            if trouble := meter.step_done(self.step, learner.optimizer.rate):
                self._not_finite(trouble)
            parts.done("other")
            self.control.check()
            if self.saving.is_due(clock()):
                self._save_last()
            parts.begin_step()
        weighted = self.losses.cpu().double() @ torch.tensor(sizes, dtype=torch.float64)
        return weighted.item() / len(order), self.correct.item() / len(order)

    def _views(self, order: Tensor) -> Views | None:
        """How the images of the epoch in hand are to be seen."""
        config, images = self.config, self.batches.images
        return epoch_views(
            config.augment, order, images, config.data.mean, config.train.seed, self.epoch
        )

    def _validate(self) -> Evaluation:
        throttle = Throttle(EVENT_SECONDS)

        def progress(images: int) -> None:
            self.control.check()
            if throttle.due():
                self.recorder.record(ValidationProgressed(epoch=self.epoch, images=images))

        self.recorder.record(ValidationProgressed(epoch=self.epoch, images=0))
        with self.learner.averaged():
            return self.learner.evaluate(self.data.val, progress)

    def _keep_maps(self) -> None:
        """Let people see what the model now makes of some validation images, if there are any."""
        if not len(self.data.val):
            return
        some = a_few_of_each_class(self.data, self.data.val)
        with self.learner.averaged():
            self.say_trouble(keep_maps(self, "validation", some, self.epoch))

    def _not_finite(self, what: str) -> None:
        """Do what the config says of a loss or weights that are not numbers.

        Raises:
            NonFiniteError: it does not say to go on all the same.
        """
        if self.config.train.on_non_finite != "continue":
            raise NonFiniteError(what)
        self._say_once(f"epoch {self.epoch}", f"{what}; training goes on all the same, as asked")

    def _cure(self) -> str:
        """What may help where losses or weights are no longer numbers."""
        is_full = self.learner.precision == "fp32"
        return "a lower optimizer.lr" + ("" if is_full else ', or train.precision = "fp32"')

    def say_trouble(self, trouble: str) -> None:
        """Say what went wrong, if anything, without ending the run."""
        if trouble:
            self._say_once(trouble, trouble)

    def _say_once(self, what: str, text: str) -> None:
        """Say something that is true of the whole epoch."""
        if what not in self._said:
            self._said.add(what)
            self.recorder.record(Notice(text=text))

    def _roll_back(self, reason: str) -> None:
        """Go back to the last checkpoint, or to the beginning, and on at half the learning rate.

        Raises:
            TrainingError: that has been done often enough.
            DataError: there are checkpoints, and all are damaged.
        """
        lr, rollbacks = self.lr / 2, self.rollbacks + 1
        if rollbacks > MOST_ROLLBACKS:
            raise TrainingError(f"{reason}; gave up after {MOST_ROLLBACKS} rollbacks")
        found = newest(self.recorder.run.path)
        self._build(begins=found is None)
        if found is not None:
            set_damaged_aside(found, self.recorder)
            self._restore(found.path)
        self.lr, self.rollbacks = lr, rollbacks
        file = found.path.name if found else ""
        place = self.place
        self.recorder.record(
            RolledBack(epoch=place.epoch, step=place.step, file=file, lr=lr, reason=reason)
        )

    def _save_last(self) -> None:
        """Save the latest state; a disk that refuses costs a notice, not the run."""
        self.say_trouble(self._write_last("last"))

    def _write_last(self, reason: Literal["last", "asked"]) -> str:
        if self._meter is not None:
            # So that the log knows of all that is saved.
            self._meter.tell(self.step, self.learner.optimizer.rate)
        return self.saving.save_last(reason)
