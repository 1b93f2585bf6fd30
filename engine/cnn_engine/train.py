"""The training loop, top to bottom."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnn_engine import checkpoint
from cnn_engine.augment import Views, check_augment, epoch_views
from cnn_engine.average import Average
from cnn_engine.batches import batches_on, epoch_order
from cnn_engine.budget import Budget
from cnn_engine.checkpoint_files import BEST_FILE, LAST_FILE, Place, newest
from cnn_engine.config import Config
from cnn_engine.control import Control, StopRequested, Throttle
from cnn_engine.data import DataSet, load
from cnn_engine.device import (
    DTYPES,
    choose_device,
    choose_precision,
    choose_threads,
    device_name,
)
from cnn_engine.environment import environment
from cnn_engine.errors import NonFiniteLossError, TrainingError, UserError
from cnn_engine.evaluate import Evaluation, evaluate
from cnn_engine.events import (
    CheckpointSaved,
    CommandApplied,
    EpochFinished,
    EpochStarted,
    Notice,
    RolledBack,
    RunPrepared,
    StageProgressed,
    StageStarted,
    ValidationProgressed,
)
from cnn_engine.final_test import finished, keep_results, predictions_of
from cnn_engine.gpu import gpu_meter
from cnn_engine.inspect import a_few_of_each_class, keep_layers, keep_maps, right_and_wrong
from cnn_engine.meter import EVENT_SECONDS, StepMeter
from cnn_engine.models import build_model, count_parameters
from cnn_engine.optimizers import build_optimizer
from cnn_engine.own_model import check_model
from cnn_engine.recorder import Recorder
from cnn_engine.resume import set_damaged_aside
from cnn_engine.schedule import rate_share
from cnn_engine.snapshot import check_images, restore, snapshot, weights_of
from cnn_engine.step_parts import StepParts
from cnn_engine.transfer import Transfer, load_weights, normalisation_notice
from cnn_engine.views import MeanOverViews
from cnn_engine.weights import Weights
from cnn_engine.whitened import WHITENING_IMAGES, WhitenedCNN

MOST_ROLLBACKS = 5
"""A loss that is not a number after as many halvings of the learning rate has another cause."""


def load_data(config: Config, recorder: Recorder, control: Control) -> DataSet:
    """Load and check all images, recording progress.

    Raises:
        DataError: they are missing, damaged or unusable.
        StopRequested: the user asked to stop.
    """
    recorder.record(StageStarted(stage="data"))
    throttle = Throttle(EVENT_SECONDS)

    def progress(what: str, done: int, total: int) -> None:
        control.check()
        if throttle.due():
            recorder.record(StageProgressed(what=what, done=done, total=total))

    data = load(config.data, config.train.seed, progress)
    if data.skipped:
        text = f"{len(data.skipped)} image files were left out: {'; '.join(data.skipped[:5])}"
        recorder.record(Notice(text=text))
    for text in data.notices:
        recorder.record(Notice(text=text))
    return data


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
        torch.set_num_threads(choose_threads())
        self.device = choose_device(config.train)
        control.machine.measure_gpu = gpu_meter(self.device)
        self.precision = choose_precision(config.train, self.device)
        self.parts = StepParts(self.device)
        self.batches = batches_on(self.device, data, config.data.mean, config.data.std)
        self.fingerprint = data.fingerprint()
        self.class_weights = self._class_weights()
        self._save_at = math.inf
        self._budget: Budget | None = None
        self._build(begins=file is None)
        differences = self._restore(file) if file else ()
        recorder.record(self._prepared(differences, surroundings))
        if differences:
            text = f"Goes on approximately, not to the last digit: {'; '.join(differences)}"
            recorder.record(Notice(text=text))
        self._say_trouble(keep_layers(self))
        self._keep_maps()

    def _build(self, *, begins: bool) -> None:
        """Make the model with its initial weights, and stand before the first epoch.

        Weights from a file are for where training begins, and no checkpoint follows.
        """
        config = self.config
        torch.manual_seed(config.train.seed)
        size, channels = self.data.images.shape[2:]
        check_augment(config.augment, size)
        self.model = build_model(config.model, channels, size, len(self.data.classes))
        if begins and isinstance(self.model, Transfer) and config.model.weights is not None:
            load_weights(self.model, config.model.weights)
            if text := normalisation_notice(config.data):
                self.recorder.record(Notice(text=text))
        self.model.to(self.device).to(memory_format=torch.channels_last)
        if isinstance(self.model, WhitenedCNN):
            some = self.data.train[:WHITENING_IMAGES]
            images, _ = next(self.batches.cut(some, len(some)))
            self.model.whitening.look_at(images)
        if config.model.is_own or isinstance(self.model, Transfer):
            self._check_model()
        self.weights = Weights(self.model, DTYPES[self.precision])
        self.optimizer = build_optimizer(config.optimizer, self.weights)
        self.average = (
            Average(config.average, self.model, self.weights)
            if config.average.kind != "none"
            else None
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.epoch = self.rollbacks = 0
        self.best_loss = math.inf
        self.steps_per_epoch = len(self._batch_sizes())
        self._forget_epoch()
        self.epoch_is_done = True

    def _class_weights(self) -> Tensor | None:
        """What the loss of an image counts, by its class: fp32 [classes], or all the same."""
        if self.config.train.class_weights == "none":
            return None
        counts = self.data.labels[self.data.train].bincount(minlength=len(self.data.classes))
        return (len(self.data.train) / (len(counts) * counts)).to(self.device)

    def _check_model(self) -> None:
        """See that a network which is not our own will do, with the smallest of the batches."""
        some = self.data.train[: min(self._batch_sizes())]
        images, _ = next(self.batches.cut(some, len(some)))
        check_model(self.model, images, len(self.data.classes), self.config.model.name)

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

    def _batch_sizes(self) -> list[int]:
        """Images of each of an epoch's batches."""
        size, count = self.config.train.batch_size, len(self.data.train)
        return [min(size, count - first) for first in range(0, count, size)]

    def run(self) -> None:
        """Train every epoch, then test the best one.

        Raises:
            TrainingError: the loss is no longer a number.
            StopRequested: the user asked to stop; the last checkpoint is saved.
        """
        self.control.begin_training(self)
        seconds = self.config.train.budget_seconds
        self._budget = Budget(seconds, self) if seconds is not None else None
        self._save_later()
        while self.epoch < self.epochs or not self.epoch_is_done:
            try:
                self._run_epoch()
            except StopRequested:
                self._save_last()
                raise
            except NonFiniteLossError as error:
                if self.config.train.on_non_finite != "rollback":
                    raise TrainingError(f"{error}; try a lower optimizer.lr") from None
                self._roll_back(str(error))
                continue
            self.control.end_epoch()
        self.control.end_training()
        self._test()

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
        return self.optimizer.lr * self._share()

    @lr.setter
    def lr(self, lr: float) -> None:
        self.optimizer.lr = lr / self._share()

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
            self._save_best(None)
        if self._budget is not None:
            self._budget.epoch_done()
        self._save_last()
        if validation is not None:
            self._keep_maps()

    def _is_to_be_validated(self) -> bool:
        due = self.epoch % self.config.train.validate_every == 0 or self.epoch >= self.epochs
        return due and len(self.data.val) > 0

    def _judge(self, loss: float) -> None:
        """Keep the epoch if it is the best, by its validation loss; end if none has been for long.

        Raises:
            NonFiniteLossError: the loss is not a number.
        """
        if not math.isfinite(loss):
            self._not_finite(f"validation loss became {loss} in epoch {self.epoch}")
        elif loss <= self.best_loss:
            self._save_best(loss)
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
        train, clock, sizes = self.config.train, self.control.clock, self._batch_sizes()
        order = epoch_order(self.data.train, train.seed, self.epoch)
        views, done = self._views(order), self.step * train.batch_size
        meter = self._meter = StepMeter(
            self.recorder, clock, self.parts, self.epoch, sizes, self.losses, self.step
        )
        began = clock() - self.train_seconds
        self.model.train()
        self.parts.begin_step()
        for images, labels in self.batches.cut(
            order[done:], train.batch_size, views and views.part(done, len(order))
        ):
            self.parts.done("data")
            self.optimizer.share = self._share()
            scores, loss = self.train_step(images, labels)
            self.losses[self.step] = loss
            self.correct += (scores.argmax(dim=1) == labels).sum()
            self.step += 1
            if self.average is not None:
                self.average.step_done(self.progress)
            self.train_seconds = clock() - began
            if self._budget is not None:
                self._budget.step_done()
            if trouble := meter.step_done(self.step, self.optimizer.rate):
                self._not_finite(trouble)
            self.parts.done("other")
            self.control.check()
            if clock() >= self._save_at:
                self._save_last()
            self.parts.begin_step()
        weighted = self.losses.cpu().double() @ torch.tensor(sizes, dtype=torch.float64)
        return weighted.item() / len(order), self.correct.item() / len(order)

    def train_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Change the weights once; scores [n, classes] and loss, both left on the device.

        The loss is without label smoothing and class weights, so that it compares with that of
        validation.

        Args:
            images: float [n, C, H, W], normalised.
            labels: int64 [n].
        """
        smoothing = self.config.train.label_smoothing
        with self.autocast():
            scores = self.model(images)
            loss = cross_entropy(scores, labels, self.class_weights, label_smoothing=smoothing)
            is_plain = self.class_weights is None and not smoothing
            told = loss.detach() if is_plain else cross_entropy(scores.detach(), labels)
        self.parts.done("forward")
        self.weights.clear_gradients()
        torch.autograd.backward(self.scaler.scale(loss))
        self.weights.gather_gradients()
        self.parts.done("backward")
        self.scaler.step(self.optimizer)  # type: ignore[arg-type]  # has all that it looks for
        self.scaler.update()
        self.weights.publish()
        self.parts.done("optimizer")
        return scores.detach(), told

    def _views(self, order: Tensor) -> Views | None:
        """How the images of the epoch in hand are to be seen."""
        config, images = self.config, self.batches.images
        return epoch_views(
            config.augment, order, images, config.data.mean, config.train.seed, self.epoch
        )

    def autocast(self) -> torch.autocast:
        """The arithmetic that it trains in."""
        dtype = DTYPES[self.precision]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def _validate(self) -> Evaluation:
        throttle = Throttle(EVENT_SECONDS)

        def progress(images: int) -> None:
            self.control.check()
            if throttle.due():
                self.recorder.record(ValidationProgressed(epoch=self.epoch, images=images))

        self.recorder.record(ValidationProgressed(epoch=self.epoch, images=0))
        with self._averaged():
            return self._evaluate(self.model, self.data.val, progress)

    def _averaged(self) -> AbstractContextManager[None]:
        """The model has the average as its weights meanwhile, if there is one."""
        return self.average.in_place() if self.average else nullcontext()

    def _test(self) -> None:
        """Run the best checkpoint over the test images, the only time they are touched."""
        self.recorder.record(StageStarted(stage="test"))
        start = self.control.clock()
        epoch = self._load_best()
        result = self._evaluate(self.model, self.data.test, lambda _: self.control.check())
        augmented = self._test_augmented()
        said = predictions_of(self.data, result, epoch)
        if trouble := keep_results(self.recorder.run, self.data, said):
            self.recorder.record(Notice(text=trouble))
        self.recorder.record(finished(result, said, self.control.clock() - start, augmented))
        some = right_and_wrong(self.data, result.answers)
        self._say_trouble(keep_maps(self, "test", some, epoch))

    def _test_augmented(self) -> tuple[str, Evaluation] | None:
        """The test again with test-time augmentation, and which, if that is asked for."""
        kind = self.config.evaluate.tta
        if kind == "none":
            return None
        model = MeanOverViews(self.model, kind)
        return kind, self._evaluate(model, self.data.test, lambda _: self.control.check())

    def _evaluate(
        self, model: nn.Module, indices: Tensor, progress: Callable[[int], None]
    ) -> Evaluation:
        classes = len(self.data.classes)
        with self.autocast():
            return evaluate(model, self.batches, indices, classes, progress)

    def _keep_maps(self) -> None:
        """Let people see what the model now makes of some validation images, if there are any."""
        if not len(self.data.val):
            return
        some = a_few_of_each_class(self.data, self.data.val)
        with self._averaged():
            self._say_trouble(keep_maps(self, "validation", some, self.epoch))

    def _not_finite(self, what: str) -> None:
        """Do what the config says of a loss that is not a number.

        Raises:
            NonFiniteLossError: it does not say to go on all the same.
        """
        if self.config.train.on_non_finite != "continue":
            raise NonFiniteLossError(what)
        self._say_once(f"epoch {self.epoch}", f"{what}; training goes on all the same, as asked")

    def _say_trouble(self, trouble: str) -> None:
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

    def _save_best(self, loss: float | None) -> None:
        """Save the weights to use: those of the least loss; with None, because they are the last.

        The latter is where no images are held back to choose by.
        """
        old, self.best_loss = self.best_loss, self.best_loss if loss is None else loss
        event = CheckpointSaved(
            reason="best",
            epoch=self.epoch,
            step=self.step,
            file=BEST_FILE,
            old_loss=None if loss is None else old,
            new_loss=loss,
        )
        if trouble := self._save(event, weights_of(self)):
            self._say_once(trouble, trouble)
            self.best_loss = old  # of what best.pt holds: a worse epoch may still be better

    def _save_last(self) -> None:
        """Save the latest state; a disk that refuses costs a notice, not the run."""
        self._say_trouble(self._write_last("last"))

    def _write_last(self, reason: Literal["last", "asked"]) -> str:
        if self._meter is not None:
            # So that the log knows of all that is saved.
            self._meter.tell(self.step, self.optimizer.rate)
        event = CheckpointSaved(reason=reason, epoch=self.epoch, step=self.step, file=LAST_FILE)
        trouble = self._save(event, snapshot(self))
        self._save_later()
        return trouble

    def _save_later(self) -> None:
        self._save_at = self.control.clock() + self.config.train.checkpoint_seconds

    def _save(self, event: CheckpointSaved, content: dict[str, Any]) -> str:
        """Save and say so; why it could not be, if so."""
        if not self.weights.are_finite():
            return f"{event.file} is not saved, as weights are not numbers; an earlier one stands"
        try:
            checkpoint.save(self.recorder.run.path / event.file, content, self.place)
        except OSError as error:
            return f"{event.file} could not be saved: {error.strerror}; an earlier one stands"
        self.recorder.record(event)
        return ""

    def _load_best(self) -> int:
        """Put the best weights into the model; the epoch they are from."""
        path = self.recorder.run.path / BEST_FILE
        try:
            content = checkpoint.load(path, self.device)
        except UserError as error:
            text = f"{error}; the test uses the weights of the last epoch instead"
            self.recorder.record(Notice(text=text))
            if self.average is not None:
                self.weights.load_state_dict(self.average.state_dict()["model"])
            return self.epoch
        self.weights.load_state_dict(content["model"])
        return int(content["epoch"])

    def _prepared(
        self, differences: tuple[str, ...], surroundings: Mapping[str, str] | None
    ) -> RunPrepared:
        size, channels = self.data.images.shape[2:]
        return RunPrepared(
            classes=self.data.classes,
            source=self.data.source,
            image_shape=(channels, size, size),
            train_images=len(self.data.train),
            val_images=len(self.data.val),
            test_images=len(self.data.test),
            steps_per_epoch=self.steps_per_epoch,
            parameters=count_parameters(self.model),
            device=self.device.type,
            device_name=device_name(self.device),
            threads=torch.get_num_threads(),
            precision=self.precision,
            train_counts=self.data.train_counts(),
            differences=differences,
            environment={
                **(surroundings or {}),
                **environment(self.device, self.precision),
                "images": self.fingerprint[:16],
            },
        )
