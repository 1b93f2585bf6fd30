"""Measures what recording the margins of training images costs.

    python engine/tools/bench_margins.py [--seconds S] [PRESET [KEY=VALUE ...]]

Trains the preset (default: digits) for some steps with and without `train.record_margins`, in turn,
and prints the median ratio of the durations.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from cnn_engine.config.presets import load_config
from cnn_engine.data.dataset import load_dataset
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.device import choose_device
from cnn_engine.system.threads import choose_threads
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer

MAX_IMAGES = 2_000
"""Training images of an epoch on a CPU, so that turns are short."""


def main() -> None:
    """Print the cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset", nargs="?", default="digits")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--seconds", type=float, default=25.0)
    arguments = parser.parse_args()
    torch.set_num_threads(choose_threads())
    config = load_config(arguments.preset, arguments.overrides)
    data = load_dataset(config.data, config.train.seed, lambda *_: None)
    if choose_device(config.train).type == "cpu":
        data = replace(data, train=data.train[:MAX_IMAGES])
    with ExitStack() as resources:
        runs = Path(resources.enter_context(tempfile.TemporaryDirectory()))
        trainers = []
        for records in (True, False):
            recorder = resources.enter_context(Recorder(create_run(runs)))
            changed = config.replaced("train", record_margins=records)
            trainers.append(Trainer(changed, data, recorder, Control(recorder)))
            resources.callback(trainers[-1].close)
        for trainer in trainers:
            _seconds(trainer)
        ratios, end = [], time.perf_counter() + arguments.seconds
        while time.perf_counter() < end or len(ratios) < 4:
            turns = trainers if len(ratios) % 2 else trainers[::-1]
            seconds = {id(trainer): _seconds(trainer) for trainer in turns}
            ratios.append(seconds[id(trainers[0])] / seconds[id(trainers[1])])
        step = 1e3 * _seconds(trainers[1]) / trainers[1].state.steps_per_epoch
    print(
        f"{arguments.preset}: {statistics.median(ratios) - 1:+.2%} with margins, median of "
        f"{len(ratios)} pairs of {trainers[0].state.steps_per_epoch} steps of {step:.2f} ms"
    )


def _seconds(trainer: Trainer) -> float:
    """Train an epoch; return its duration, with that of its record."""
    start = time.perf_counter()
    trainer.begin_epoch()
    trainer.train_epoch()
    trainer._write_margins()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
