"""What comes before the first step: the images, the model, and what is recorded of both."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import torch
from torch import nn

from cnn_engine.config.schema import Config, TrainConfig
from cnn_engine.data.augment import check_augment
from cnn_engine.data.dataset import DataSet, load_dataset
from cnn_engine.models.build import build_model, count_parameters
from cnn_engine.models.hooks import Pretrained
from cnn_engine.runlog.events import Notice, RunPrepared, StageProgressed, StageStarted
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.device import device_name, warm_up
from cnn_engine.system.environment import environment
from cnn_engine.training.control import Control, Throttle
from cnn_engine.training.step_logger import EVENT_SECONDS

if TYPE_CHECKING:
    from cnn_engine.training.trainer import Training


@contextmanager
def warming_up(config: TrainConfig) -> Iterator[None]:
    """Warm a GPU up meanwhile, as while images are read."""
    thread = Thread(target=warm_up, args=(config,), name="warm-up", daemon=True)
    thread.start()
    yield
    thread.join()


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

    data = load_dataset(config.data, config.train.seed, progress)
    if data.skipped:
        text = f"{len(data.skipped)} image files were left out: {'; '.join(data.skipped[:5])}"
        recorder.record(Notice(text=text))
    for text in data.notices:
        recorder.record(Notice(text=text))
    return data


def new_model(config: Config, data: DataSet, recorder: Recorder, *, begins: bool) -> nn.Module:
    """The model that the config asks for, with its initial weights.

    Args:
        config: What to train.
        data: The images.
        recorder: Told what may be unwanted.
        begins: Whether training begins with it, for which weights from a file are; else a
            checkpoint follows.

    Raises:
        ConfigError: the images are too small for it or the augmentation, or the file will not do.
    """
    size, channels = data.images.shape[2:]
    check_augment(config.augment, size)
    model = build_model(config.model, channels, size, len(data.classes))
    if begins and isinstance(model, Pretrained) and config.model.weights is not None:
        model.load_pretrained(config.model.weights)
        mean, std = model.pretrained_mean, model.pretrained_std
        if (config.data.mean, config.data.std) != (mean, std):
            text = (
                f"{config.model.name}'s pretrained weights expect data.mean = {list(mean)} and "
                f"data.std = {list(std)}; this run normalises differently, which may cost accuracy"
            )
            recorder.record(Notice(text=text))
    return model


def prepared(
    training: "Training", differences: tuple[str, ...], surroundings: Mapping[str, str]
) -> RunPrepared:
    """The event that tells what is trained, on which images and where.

    Args:
        training: That is ready to run.
        differences: What is other here than where the checkpoint that it goes on from was made.
        surroundings: What else is to be recorded of the run's environment.
    """
    data, device, precision = training.data, training.device, training.learner.precision
    size, channels = data.images.shape[2:]
    return RunPrepared(
        classes=data.classes,
        source=data.source,
        image_shape=(channels, size, size),
        train_images=len(data.train),
        val_images=len(data.val),
        test_images=len(data.test),
        steps_per_epoch=training.steps_per_epoch,
        parameters=count_parameters(training.learner.model),
        device=device.type,
        device_name=device_name(device),
        threads=torch.get_num_threads(),
        precision=precision,
        train_counts=data.train_counts(),
        differences=differences,
        environment={
            **surroundings,
            **environment(device, precision),
            "images": training.fingerprint[:16],
        },
    )
