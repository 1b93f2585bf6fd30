"""Measures what recording the margins of training images costs.

    python engine/tools/bench_margins.py [--seconds S] [PRESET [KEY=VALUE ...]]

Trains the preset (default: digits) for some steps with and without `train.record_margins`, in turn,
and prints the median ratio of the durations, and that of the processor time, which other programs
disturb less.
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
            _costs(trainer)
        pairs: list[tuple[float, ...]] = []
        end = time.perf_counter() + arguments.seconds
        while time.perf_counter() < end or len(pairs) < 4:
            turns = trainers if len(pairs) % 2 else trainers[::-1]
            costs = {id(trainer): _costs(trainer) for trainer in turns}
            with_, without = (costs[id(trainer)] for trainer in trainers)
            pairs.append(tuple(one / other for one, other in zip(with_, without, strict=True)))
        step = 1e3 * without[0] / trainers[1].state.steps_per_epoch
    time_, processor = (statistics.median(ratios) - 1 for ratios in zip(*pairs, strict=True))
    print(
        f"{arguments.preset}: {time_:+.2%} time, {processor:+.2%} processor time with margins, "
        f"median of {len(pairs)} pairs of {trainers[0].state.steps_per_epoch} steps, {step:.2f} ms"
    )


def _costs(trainer: Trainer) -> tuple[float, float]:
    """Train an epoch and write its record; return seconds of time and of processor time."""
    start, processor = time.perf_counter(), time.process_time()
    trainer.begin_epoch()
    trainer.train_epoch()
    trainer._write_margins()
    return time.perf_counter() - start, time.process_time() - processor


if __name__ == "__main__":
    main()
