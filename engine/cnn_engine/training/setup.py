"""Preparations before the first step: images, model, and the event that describes both."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread

import torch
from torch import nn

from cnn_engine.config.schema import Config, TrainConfig
from cnn_engine.data.dataset import DataSet, load_dataset
from cnn_engine.models.build import build_model, count_parameters
from cnn_engine.models.hooks import Pretrained
from cnn_engine.runlog.events import Notice, RunPrepared, StageProgressed, StageStarted
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.device import device_name, warm_up
from cnn_engine.training.control import Control, Throttle
from cnn_engine.training.step_logger import EVENT_SECONDS


@contextmanager
def warming_up(config: TrainConfig) -> Iterator[None]:
    """Warm up a GPU in a thread within the block, for example while images are read."""
    thread = Thread(target=warm_up, args=(config,), name="warm-up", daemon=True)
    thread.start()
    yield
    thread.join()


def load_data(config: Config, recorder: Recorder, control: Control) -> DataSet:
    """Load and check all images, and record the progress.

    Raises:
        DataError: they are missing, damaged or unusable.
        StopRequested: the user asked to stop.
    """
    recorder.record(StageStarted(stage="data"))
    throttle = Throttle(EVENT_SECONDS)

    def progress(activity: str, done: int, total: int) -> None:
        control.check()
        if throttle.due():
            recorder.record(StageProgressed(what=activity, done=done, total=total))

    data = load_dataset(config.data, config.train.seed, progress)
    if data.skipped:
        text = f"{len(data.skipped)} image files were skipped: {'; '.join(data.skipped[:5])}"
        recorder.record(Notice(text=text))
    for text in data.notices:
        recorder.record(Notice(text=text))
    return data


def new_model(
    config: Config, data: DataSet, notify: Callable[[str], None], *, from_scratch: bool
) -> nn.Module:
    """Return the model that the config names, with its initial weights.

    Args:
        config: The run's config.
        data: The images.
        notify: Called with a text if the normalization does not fit pretrained weights.
        from_scratch: Load the file of pretrained weights, if the config names one; not needed
            if a checkpoint is loaded afterwards.

    Raises:
        ConfigError: the images are too small for the model, or the file of weights does not fit.
    """
    size, channels = data.images.shape[2:]
    model = build_model(config.model, channels, size, len(data.classes))
    if from_scratch and isinstance(model, Pretrained) and config.model.weights is not None:
        model.load_pretrained(config.model.weights)
        mean, std = model.pretrained_mean, model.pretrained_std
        if (config.data.mean, config.data.std) != (mean, std):
            text = (
                f"{config.model.name}'s pretrained weights expect data.mean = {list(mean)} and "
                f"data.std = {list(std)}; this run normalizes differently, which may cost accuracy"
            )
            notify(text)
    return model


def run_prepared(  # noqa: PLR0913 - the fields of an event
    data: DataSet,
    model: nn.Module,
    device: torch.device,
    precision: str,
    steps_per_epoch: int,
    *,
    differences: tuple[str, ...],
    environment: Mapping[str, str],
) -> RunPrepared:
    """Return the event that describes the images, the model and the device.

    Args:
        data: The images.
        model: The model, with `data`'s classes.
        device: The device that trains.
        precision: The precision that it trains in.
        steps_per_epoch: Steps of an epoch.
        differences: Differences to the environment of the checkpoint that the run resumes.
        environment: Versions and settings that results depend on.
    """
    size, channels = data.images.shape[2:]
    return RunPrepared(
        classes=data.classes,
        source=data.source,
        image_shape=(channels, size, size),
        train_images=len(data.train),
        val_images=len(data.val),
        test_images=len(data.test),
        steps_per_epoch=steps_per_epoch,
        parameters=count_parameters(model),
        device=device.type,
        device_name=device_name(device),
        threads=torch.get_num_threads(),
        precision=precision,
        train_counts=data.train_counts(),
        differences=differences,
        environment=dict(environment),
    )
