"""Measures training time per image with 1,000 to 60,000 images, and the memory of a run.

    python engine/tools/bench_images.py [--rounds 3]

The images are noise in the size of CIFAR-10, so that no files are needed. Of large data sets an
epoch uses a random part. Memory is measured in a process that trains, validates and tests once.
"""

import argparse
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

SIZES = (1_000, 10_000, 60_000)
"""Sizes of the data sets, in images."""

MEASURED_IMAGES = 10_000
"""Training images per measurement, in one or more epochs."""

MEGABYTE = 1e6
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Print time per image and memory."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        seconds = pool.submit(train_in_turn, rounds).result()
        memory = pool.submit(peak_memory, SIZES[-1]).result()
    baseline = median(seconds[SIZES[-1]])
    for images, rounds_ in seconds.items():
        cost = median(rounds_)
        print(f"{images:>6,} images: {cost * 1e6:6.0f} µs per image, {cost / baseline:.2f}×")
    peak, images, pytorch = (size / MEGABYTE for size in memory)
    print(f"peak {peak:,.0f} MB, including images {images:,.0f} MB, PyTorch {pytorch:,.0f} MB")


def train_in_turn(rounds: int) -> dict[int, list[float]]:
    """Return the training time per image in seconds, of each round, by size of the data set."""
    with tempfile.TemporaryDirectory() as runs_dir:
        trainers = {size: _trainer(size, Path(runs_dir)) for size in SIZES}
        seconds: dict[int, list[float]] = {size: [] for size in SIZES}
        for _ in range(rounds + 1):
            for size, trainer in trainers.items():
                epochs = MEASURED_IMAGES // len(trainer.data.train)
                start = time.perf_counter()
                for _ in range(epochs):
                    trainer.begin_epoch()
                    trainer.train_epoch()
                seconds[size].append((time.perf_counter() - start) / MEASURED_IMAGES)
    return {size: rounds_[1:] for size, rounds_ in seconds.items()}  # the first is a warm-up


class Memory(NamedTuple):
    """Bytes of memory that a run takes."""

    peak: int
    """Peak memory of its process."""

    images: int
    """Size of the images."""

    pytorch: int
    """Peak memory of a process that only imports PyTorch."""


def peak_memory(size: int) -> Memory:
    """Return the memory of a run, measured in this process."""
    _import_pytorch()
    pytorch = _peak()
    with tempfile.TemporaryDirectory() as runs_dir:
        trainer = _trainer(size, Path(runs_dir))
        trainer.run()
        return Memory(_peak(), trainer.data.images.nbytes, pytorch)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES


def _import_pytorch() -> None:
    """Import PyTorch as a run does; the parent process never imports it."""
    from cnn_engine.system.malloc import keep_freed_memory  # noqa: PLC0415

    keep_freed_memory()
    import torch  # noqa: F401, PLC0415


def _trainer(size: int, runs_dir: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202 - needs PyTorch
    _import_pytorch()
    import torch  # noqa: PLC0415

    from cnn_engine.config.presets import load_config  # noqa: PLC0415
    from cnn_engine.data.dataset import DataSet  # noqa: PLC0415
    from cnn_engine.runs.directory import create_run  # noqa: PLC0415
    from cnn_engine.runs.recorder import Recorder  # noqa: PLC0415
    from cnn_engine.system.device import limit_threads  # noqa: PLC0415
    from cnn_engine.training.control import Control  # noqa: PLC0415
    from cnn_engine.training.trainer import Trainer  # noqa: PLC0415

    limit_threads()
    held_back = size // 6
    indices = torch.arange(size + 2 * held_back)
    data = DataSet(
        images=torch.randint(256, (len(indices), 32, 32, 3), dtype=torch.uint8),
        labels=indices % 10,
        classes=tuple("0123456789"),
        train=torch.randperm(size)[:MEASURED_IMAGES],
        val=indices[size : size + held_back],
        test=indices[size + held_back :],
        source="noise",
        paths=(),
        skipped=(),
        notices=(),
    )
    recorder = Recorder(create_run(runs_dir))
    return Trainer(load_config("cifar10", ["train.epochs=1"]), data, recorder, Control(recorder))


if __name__ == "__main__":
    main()
