"""Compares several processes of one thread each with one process of as many threads.

    python engine/tools/bench_processes.py [--processes 2] [--rounds 5] [--precision fp32]

Trains the network of `cifar10` on images of noise, the two sides in turn, and prints images per
second of each round, the medians and their ratio. Of the processes it also prints the part of a
step that is the exchange of gradients.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from cnn_engine.config.presets import load_config
from cnn_engine.data.dataset import DataSet
from cnn_engine.distributed.meetings import Meetings
from cnn_engine.distributed.place import find_place
from cnn_engine.distributed.processes import ALONE
from cnn_engine.distributed.rendezvous import Rendezvous
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer

IMAGES = 6_400
"""Images of an epoch: 100 steps of the preset."""

RESULT = "BENCH_RESULT"
"""Environment variable with the file that the first process writes."""


def main() -> None:
    """Measure and print, or train as one side of the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="fp32")
    arguments = parser.parse_args()
    if RESULT in os.environ:
        train(arguments.precision)
        return
    count = arguments.processes
    names = f"1 process, {count} threads", f"{count} processes, 1 thread each"
    speeds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(1, arguments.rounds + 1):
        for name, processes in zip(names, (1, count), strict=True):
            speed, exchange = measure(processes, count // processes, arguments.precision)
            speeds[name].append(speed)
            part = f", exchange {exchange:.0%} of a step" if processes > 1 else ""
            print(f"round {number}: {name}: {speed:,.0f} images/s{part}", flush=True)
    medians = [statistics.median(speeds[name]) for name in names]
    for name, median in zip(names, medians, strict=True):
        print(f"{name:<28} {median:8,.0f} images/s (median)")
    print(f"ratio {medians[1] / medians[0]:.1%}")


def measure(processes: int, threads: int, precision: str) -> tuple[float, float]:
    """Return images per second of an epoch, and the part of a step that is the exchange."""
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "result.json"
        environment = {**os.environ, RESULT: str(result), "OMP_NUM_THREADS": str(threads)}
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        program = [*(launch if processes > 1 else []), __file__, "--precision", precision]
        subprocess.run(  # noqa: S603 - this program
            [sys.executable, *program], env=environment, check=True, stderr=subprocess.DEVNULL
        )
        speed, exchange = json.loads(result.read_text())
        return speed, exchange


def train(precision: str) -> None:
    """Train two epochs, of which the second counts."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    settings = [f"train.precision={precision}", "train.epochs=2", "train.device=cpu"]
    config = load_config("cifar10", settings)
    generator = torch.Generator().manual_seed(0)
    shape = (IMAGES + 200, 32, 32, 3)
    indices = torch.arange(len(range(IMAGES + 200)))
    data = DataSet(
        images=torch.randint(256, shape, dtype=torch.uint8, generator=generator),
        labels=indices % 10,
        classes=tuple("0123456789"),
        train=indices[:IMAGES],
        val=indices[IMAGES : IMAGES + 100],
        test=indices[IMAGES + 100 :],
        source="noise",
        paths=(),
        skipped=(),
        notices=(),
    )
    with tempfile.TemporaryDirectory() as directory:
        recorder = Recorder(create_run(Path(directory)))
        control, place, processes = Control(recorder), find_place(), ALONE
        if place is not None:
            rendezvous = Rendezvous.connect(place, lambda: None)
            processes, _ = rendezvous.join(data.fingerprint(), torch.device("cpu"), print)
            control.join(Meetings(processes))
        trainer = Trainer(config, data, recorder, control, processes=processes)
        for _ in range(2):
            trainer.begin_epoch()
            _, before, exchange_before = trainer.state.steps.costs()
            trainer.train_epoch()
        _, steps, exchange = trainer.state.steps.costs()
        exchange -= exchange_before
        seconds = trainer.progress.train_seconds
        trainer.close()
    if processes.is_first:
        part = exchange / (steps - before + exchange)
        Path(os.environ[RESULT]).write_text(json.dumps([IMAGES / seconds, part]))


if __name__ == "__main__":
    main()
