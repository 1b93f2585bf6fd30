"""Estimate of this machine's training speed, measured briefly on random images."""

import tempfile
from pathlib import Path

import torch

from cnn_engine.benchmarks import bench
from cnn_engine.config.schema import Config
from cnn_engine.data.dataset import DataSet
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.device import limit_threads
from cnn_engine.system.malloc import keep_freed_memory
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer

BATCHES = 4
"""Batches per epoch."""

SECONDS = 1.0
"""Minimum duration of a measurement."""


def images_per_second(config: Config, side: int, class_count: int) -> float:
    """Return the training speed in images per second.

    Args:
        config: Model, device and batch size.
        side: Side of the square images in pixels.
        class_count: Number of classes.

    Raises:
        ConfigError: the device or the model is not available.
    """
    keep_freed_memory()
    limit_threads()
    data = _random_data(
        BATCHES * config.train.batch_size, side, config.data.channels or 3, class_count
    )
    with (
        tempfile.TemporaryDirectory() as directory,
        Recorder(create_run(Path(directory))) as recorder,
    ):
        trainer = Trainer(config, data, recorder, Control(recorder))
        bench.images_per_second(trainer, 0)  # the first steps allocate memory
        rate = bench.images_per_second(trainer, SECONDS)
        trainer.close()
        return rate


def _random_data(count: int, side: int, channels: int, class_count: int) -> DataSet:
    indices = torch.arange(count)
    return DataSet(
        images=torch.randint(0, 256, (count, side, side, channels), dtype=torch.uint8),
        labels=indices % class_count,
        classes=tuple(map(str, range(class_count))),
        train=indices,
        val=indices,
        test=indices,
        source="random images",
        paths=(),
        skipped=(),
        notices=(),
    )
