"""The training loop, top to bottom."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnn_engine import checkpoint
from cnn_engine.adam import Adam
from cnn_engine.batches import batches_on, epoch_order
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
from cnn_engine.errors import StorageError, TrainingError
from cnn_engine.evaluate import Evaluation, evaluate
from cnn_engine.events import (
    CheckpointSaved,
    EpochFinished,
    EpochStarted,
    Notice,
    RunPrepared,
    StageProgressed,
    StageStarted,
    TestFinished,
    ValidationProgressed,
)
from cnn_engine.gpu import gpu_meter
from cnn_engine.meter import EVENT_SECONDS, StepMeter
from cnn_engine.models import build_model, count_parameters
from cnn_engine.recorder import Recorder
from cnn_engine.step_parts import StepParts
from cnn_engine.weights import Weights


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

    def __init__(self, config: Config, data: DataSet, recorder: Recorder, control: Control) -> None:
        """Build the model, and move it and the images to the device.

        Raises:
            ConfigError: the device asked for is not there.
        """
        self.config, self.data, self.recorder, self.control = config, data, recorder, control
        recorder.record(StageStarted(stage="model"))
        torch.manual_seed(config.train.seed)
        torch.set_num_threads(choose_threads())
        self.device = choose_device(config.train)
        control.machine.measure_gpu = gpu_meter(self.device)
        self.precision = choose_precision(config.train, self.device)
        size, channels = data.images.shape[2:]
        self.model = build_model(config.model, channels, size, len(data.classes)).to(self.device)
        self.model.to(memory_format=torch.channels_last)
        self.weights = Weights(self.model, DTYPES[self.precision])
        self.optimizer = Adam(self.weights.flat, config.optimizer.lr)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.parts = StepParts(self.device)
        self.batches = batches_on(self.device, data, config.data.mean, config.data.std)
        self.epoch = 0
        self.step = 0
        self.best_loss = math.inf
        recorder.record(self._prepared(channels, size))

    def run(self) -> None:
        """Train every epoch, then test the best one.

        Raises:
            TrainingError: the loss is no longer a number.
            StopRequested: the user asked to stop; the last checkpoint is saved.
        """
        self.control.begin_training(self)
        while self.epoch < self.epochs:
            self.epoch += 1
            try:
                self._run_epoch()
            except StopRequested:
                self._save_last()
                raise
            self.control.end_epoch()
        self.control.end_training()
        self._test()

    @property
    def epochs(self) -> int:
        """Epochs to train in all; a command may change it."""
        return self.config.train.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        train = self.config.train.model_copy(update={"epochs": epochs})
        self.config = self.config.model_copy(update={"train": train})

    @property
    def lr(self) -> float:
        """Learning rate of the next step; a command may change it."""
        return self.optimizer.lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self.optimizer.lr = lr

    def save_asked(self) -> None:
        """Save the latest state now, because a command asked for it."""
        self._save_last("asked")

    def _run_epoch(self) -> None:
        self.recorder.record(EpochStarted(epoch=self.epoch))
        start = self.control.clock()
        train_loss, train_accuracy = self.train_epoch()
        trained = self.control.clock()
        validation = self._validate()
        self.recorder.record(
            EpochFinished(
                epoch=self.epoch,
                train_loss=train_loss,
                train_accuracy=train_accuracy,
                val_loss=validation.loss,
                correct=validation.correct,
                total=validation.total,
                train_seconds=trained - start,
                val_seconds=self.control.clock() - trained,
                confusion=validation.confusion,
            )
        )
        if not math.isfinite(validation.loss):
            raise TrainingError(
                f"validation loss became {validation.loss} in epoch {self.epoch}; "
                "try a lower optimizer.lr"
            )
        if validation.loss <= self.best_loss:
            self._save_best(validation.loss)
        self._save_last()

    def train_epoch(self) -> tuple[float, float]:
        """Train on every image once; the mean loss and the accuracy, as each image was seen.

        Both stay on the device until someone is to see them: nothing here waits for a GPU.
        """
        train = self.config.train
        order = epoch_order(self.data.train, train.seed, self.epoch)
        self.step = 0
        sizes = [
            min(train.batch_size, len(order) - first)
            for first in range(0, len(order), train.batch_size)
        ]
        losses = torch.zeros(len(sizes), device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        meter = StepMeter(self.recorder, self.control.clock, self.parts, self.epoch, sizes, losses)
        self.model.train()
        self.parts.begin_step()
        for images, labels in self.batches.cut(order, train.batch_size):
            self.parts.done("data")
            scores, loss = self.train_step(images, labels)
            losses[self.step] = loss
            correct += (scores.argmax(dim=1) == labels).sum()
            self.step += 1
            meter.step_done(self.step, self.lr)
            self.parts.done("other")
            self.control.check()
            self.parts.begin_step()
        weighted = losses.cpu().double() @ torch.tensor(sizes, dtype=torch.float64)
        return weighted.item() / len(order), correct.item() / len(order)

    def train_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Change the weights once; scores [n, classes] and loss, both left on the device.

        Args:
            images: float [n, C, H, W], normalised.
            labels: int64 [n].
        """
        with self._autocast():
            scores = self.model(images)
            loss = cross_entropy(scores, labels)
        self.parts.done("forward")
        self.weights.clear_gradients()
        torch.autograd.backward(self.scaler.scale(loss))
        self.weights.gather_gradients()
        self.parts.done("backward")
        self.scaler.step(self.optimizer)  # type: ignore[arg-type]  # has all that it looks for
        self.scaler.update()
        self.weights.publish()
        self.parts.done("optimizer")
        return scores.detach(), loss.detach()

    def _autocast(self) -> torch.autocast:
        dtype = DTYPES[self.precision]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def _validate(self) -> Evaluation:
        throttle = Throttle(EVENT_SECONDS)

        def progress(images: int) -> None:
            self.control.check()
            if throttle.due():
                self.recorder.record(ValidationProgressed(epoch=self.epoch, images=images))

        self.recorder.record(ValidationProgressed(epoch=self.epoch, images=0))
        return self._evaluate(self.data.val, progress)

    def _test(self) -> None:
        """Run the best checkpoint over the test images, the only time they are touched."""
        self.recorder.record(StageStarted(stage="test"))
        start = self.control.clock()
        epoch = self._load_best()
        result = self._evaluate(self.data.test, lambda _: self.control.check())
        self.recorder.record(
            TestFinished(
                epoch=epoch,
                loss=result.loss,
                correct=result.correct,
                total=result.total,
                seconds=self.control.clock() - start,
                confusion=result.confusion,
            )
        )

    def _evaluate(self, indices: Tensor, progress: Callable[[int], None]) -> Evaluation:
        classes = len(self.data.classes)
        with self._autocast():
            return evaluate(self.model, self.batches, indices, classes, progress)

    def _save_best(self, loss: float) -> None:
        old, self.best_loss = self.best_loss, loss
        event = CheckpointSaved(
            reason="best", epoch=self.epoch, file=checkpoint.BEST_FILE, old_loss=old, new_loss=loss
        )
        self._save(event, {})

    def _save_last(self, reason: Literal["last", "asked"] = "last") -> None:
        event = CheckpointSaved(reason=reason, epoch=self.epoch, file=checkpoint.LAST_FILE)
        rest = {
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "random_state": torch.get_rng_state(),
        }
        self._save(event, rest)

    def _save(self, event: CheckpointSaved, rest: dict[str, Any]) -> None:
        """Save and say so; a disk that refuses costs a notice, not the run."""
        content = {
            "model": self.weights.state_dict(),
            "epoch": self.epoch,
            "best_loss": self.best_loss,
            "classes": list(self.data.classes),
            "config": self.config.model_dump(mode="json"),
            **rest,
        }
        try:
            checkpoint.save(self.recorder.run.path / event.file, content)
        except OSError as error:
            text = f"{event.file} could not be saved: {error.strerror}; an earlier one stands"
            self.recorder.record(Notice(text=text))
        else:
            self.recorder.record(event)

    def _load_best(self) -> int:
        """Put the best weights into the model; the epoch they are from."""
        path = self.recorder.run.path / checkpoint.BEST_FILE
        try:
            content = checkpoint.load(path, self.device)
        except StorageError as error:
            text = f"{error}; the test uses the weights of the last epoch instead"
            self.recorder.record(Notice(text=text))
            return self.epoch
        self.weights.load_state_dict(content["model"])
        return int(content["epoch"])

    def _prepared(self, channels: int, size: int) -> RunPrepared:
        return RunPrepared(
            classes=self.data.classes,
            source=self.data.source,
            image_shape=(channels, size, size),
            train_images=len(self.data.train),
            val_images=len(self.data.val),
            test_images=len(self.data.test),
            steps_per_epoch=math.ceil(len(self.data.train) / self.config.train.batch_size),
            parameters=count_parameters(self.model),
            device=self.device.type,
            device_name=device_name(self.device),
            threads=torch.get_num_threads(),
            precision=self.precision,
        )
