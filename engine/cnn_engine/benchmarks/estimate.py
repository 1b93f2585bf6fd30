"""Estimate of the training speed on this machine, measured briefly on synthetic images."""

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
"""Batches of a measured epoch."""

SECONDS = 1.0
"""Minimum duration of a measurement."""


def images_per_second(config: Config, side: int, class_count: int) -> float:
    """Images trained on in a second, of that size and number of classes, as the config trains.

    Raises:
        ConfigError: the config's device is not there, or its model not to be had.
    """
    keep_freed_memory()
    limit_threads()
    data = _made_up(BATCHES * config.train.batch_size, side, config.data.channels or 3, class_count)
    with tempfile.TemporaryDirectory() as directory, Recorder(create_run(Path(directory))) as log:
        training = Trainer(config, data, log, Control(log))
        bench.images_per_second(training, 0)  # the first steps allocate memory
        rate = bench.images_per_second(training, SECONDS)
        training.close()
        return rate


def _made_up(count: int, side: int, channels: int, class_count: int) -> DataSet:
    every = torch.arange(count)
    return DataSet(
        images=torch.randint(0, 256, (count, side, side, channels), dtype=torch.uint8),
        labels=every % class_count,
        classes=tuple(map(str, range(class_count))),
        train=every,
        val=every,
        test=every,
        source="made-up images",
        paths=(),
        skipped=(),
        notices=(),
    )
