"""The training loop, top to bottom."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnn_engine import checkpoint
from cnn_engine.batches import batches_on, epoch_order
from cnn_engine.config import Config
from cnn_engine.control import Control, StopRequested, Throttle
from cnn_engine.data import DataSet, load
from cnn_engine.device import choose_device, choose_precision, device_name
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
from cnn_engine.meter import EVENT_SECONDS, StepMeter
from cnn_engine.models import build_model, count_parameters
from cnn_engine.recorder import Recorder


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
        self.device = choose_device(config.train)
        self.precision = choose_precision(config.train, self.device)
        size, channels = data.images.shape[2:]
        self.model = build_model(config.model, channels, size, len(data.classes)).to(self.device)
        self.model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=config.optimizer.lr, fused=True
        )
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
        try:
            for epoch in range(1, self.config.train.epochs + 1):
                self.epoch, self.step = epoch, 0
                self._run_epoch()
        except StopRequested:
            self._save_last()
            raise
        self._test()

    def _run_epoch(self) -> None:
        self.recorder.record(EpochStarted(epoch=self.epoch))
        start = time.perf_counter()
        train_loss, train_accuracy = self._train()
        trained = time.perf_counter()
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
                val_seconds=time.perf_counter() - trained,
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

    def _train(self) -> tuple[float, float]:
        """Train on every image once; the mean loss and the accuracy, as each image was seen.

        Both stay on the device until someone is to see them: nothing here waits for a GPU.
        """
        train = self.config.train
        order = epoch_order(self.data.train, train.seed, self.epoch).to(self.device)
        sizes = [
            min(train.batch_size, len(order) - first)
            for first in range(0, len(order), train.batch_size)
        ]
        losses = torch.zeros(len(sizes), device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        meter = StepMeter(self.recorder, self.epoch, sizes, losses)
        self.model.train()
        for images, labels in self.batches.cut(order, train.batch_size):
            scores, loss = self._step(images, labels)
            losses[self.step] = loss
            correct += (scores.argmax(dim=1) == labels).sum()
            self.step += 1
            meter.step_done(self.step, self.optimizer.param_groups[0]["lr"])
            self.control.check()
        weighted = losses.cpu().double() @ torch.tensor(sizes, dtype=torch.float64)
        return weighted.item() / len(order), correct.item() / len(order)

    def _step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with self._autocast():
            scores = self.model(images)
            loss = cross_entropy(scores, labels)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return scores.detach(), loss.detach()

    def _autocast(self) -> torch.autocast:
        enabled = self.precision != "fp32"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

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
        start = time.perf_counter()
        epoch = self._load_best()
        result = self._evaluate(self.data.test, lambda _: self.control.check())
        self.recorder.record(
            TestFinished(
                epoch=epoch,
                loss=result.loss,
                correct=result.correct,
                total=result.total,
                seconds=time.perf_counter() - start,
            )
        )

    def _evaluate(self, indices: Tensor, progress: Callable[[int], None]) -> Evaluation:
        classes = len(self.data.classes)
        with self._autocast():
            return evaluate(self.model, self.batches, indices.to(self.device), classes, progress)

    def _save_best(self, loss: float) -> None:
        old, self.best_loss = self.best_loss, loss
        event = CheckpointSaved(
            reason="best", epoch=self.epoch, file=checkpoint.BEST_FILE, old_loss=old, new_loss=loss
        )
        self._save(event, {})

    def _save_last(self) -> None:
        event = CheckpointSaved(reason="last", epoch=self.epoch, file=checkpoint.LAST_FILE)
        rest = {
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "random_state": torch.get_rng_state(),
        }
        self._save(event, rest)

    def _save(self, event: CheckpointSaved, rest: dict[str, Any]) -> None:
        """Save and say so; a disk that refuses costs a notice, not the run."""
        content = {
            "model": self.model.state_dict(),
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
        self.model.load_state_dict(content["model"])
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
