"""Preparations before the first step: images, model, and the event that describes both."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import torch
from torch import Tensor, nn

from cnn_engine.checkpoints.weights_file import read_weights
from cnn_engine.config.schema import Config, TrainConfig
from cnn_engine.data.dataset import DataSet, load_dataset
from cnn_engine.data.hints import hints
from cnn_engine.data.loader import TensorLoader, train_batch_sizes
from cnn_engine.data.marks import MarksFile
from cnn_engine.errors import ConfigError
from cnn_engine.models.build import build_model, count_parameters
from cnn_engine.models.hooks import MAX_INIT_IMAGES, InitFromImages
from cnn_engine.models.probe import check_model
from cnn_engine.models.torchvision_model import TorchvisionModel
from cnn_engine.runlog.events import Notice, RunPrepared, StageProgressed, StageStarted
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.device import device_name, warm_up
from cnn_engine.training.control import Control, Throttle
from cnn_engine.training.initial_weights import load_initial_weights, normalization_warning
from cnn_engine.training.step_logger import EVENT_SECONDS


@contextmanager
def warming_up(config: TrainConfig) -> Iterator[None]:
    """Warm up a GPU in a thread within the block, for example while images are read."""
    thread = Thread(target=warm_up, args=(config,), name="warm-up", daemon=True)
    thread.start()
    yield
    thread.join()


def load_data(
    config: Config, marks: MarksFile | None, recorder: Recorder, control: Control
) -> DataSet:
    """Load and check all images, and record the progress.

    Args:
        config: The run's config.
        marks: Marks on the images; None without any.
        recorder: Records the progress, and notices about the images.
        control: Raises if the user asks to stop.

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

    data = load_dataset(config.data, config.train.seed, progress, marks)
    if data.skipped:
        text = f"{len(data.skipped)} image files were skipped: {'; '.join(data.skipped[:5])}"
        recorder.record(Notice(text=text))
    for text in (*data.notices, *hints(data, config)):
        recorder.record(Notice(text=text, severity="info"))
    return data


def new_model(
    config: Config,
    data: DataSet,
    loader: TensorLoader,
    notify: Callable[[str], None],
    *,
    from_scratch: bool,
) -> nn.Module:
    """Return the model that the config names, with its initial weights, on the loader's device.

    Args:
        config: The run's config.
        data: The images.
        loader: The same, on the device.
        notify: Called with texts about the file of weights and about the model's output.
        from_scratch: False if a checkpoint is loaded afterwards, so that the file of weights is not
            needed.

    Raises:
        ConfigError: the model has nothing to train, does not fit the images, or the file of weights
            does not fit.
        DataError: the file of weights is damaged.
    """
    size, channels = data.images.shape[2:]
    model = build_model(config.model, channels, size, len(data.classes))
    if not count_parameters(model):
        raise ConfigError(f"model.name: {config.model.name} has no parameters to train")
    model.to(loader.device).to(memory_format=torch.channels_last)
    if isinstance(model, InitFromImages):
        model.init_from_images(_images(loader, data.train[:MAX_INIT_IMAGES]))
    if from_scratch and config.model.weights is not None:
        _load_weights(model, config, data, notify)
    # Probe with the smallest batch of an epoch: BatchNorm, e.g., fails on one sample.
    smallest = min(train_batch_sizes(len(data.train), config.train.batch_size))
    if config.model.min_image_size is None or smallest == 1:
        sample = _images(loader, data.train[:smallest])
        warning = check_model(model, sample, len(data.classes), config.model.name)
        if from_scratch and warning:
            notify(warning)
    return model


def _load_weights(
    model: nn.Module, config: Config, data: DataSet, notify: Callable[[str], None]
) -> None:
    file = read_weights(Path(config.model.weights or ""))
    notify(load_initial_weights(model, file, data.classes))
    expected = file.normalization
    if expected is None and isinstance(model, TorchvisionModel):
        expected = model.pretrained_normalization
    used = config.data.mean, config.data.std
    if warning := normalization_warning(expected, used, data.images.shape[3]):
        notify(warning)


def _images(loader: TensorLoader, indices: Tensor) -> Tensor:
    """Return normalized images, float [n, C, H, W]."""
    images, _ = next(loader.batches(indices, len(indices)))
    return images


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
        brightness=data.brightness(),
    )
