"""Training speed of this machine, compared with the published loop and the hardware limit."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from cnn_engine.benchmarks.reference import Reference
from cnn_engine.config.schema import Config
from cnn_engine.data.dataset import DataSet
from cnn_engine.inspection.flops import FlopCounter
from cnn_engine.progress import Progress
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.device import DTYPES
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer

MATRIX_SIDE = 2048
"""Side of the matrices whose product measures the hardware limit."""

MATRIX_PRODUCTS = 8
"""Matrix products per measurement; their median is used."""

MAX_IMAGES = 6_400
"""Maximum number of training images, to keep epochs short; the time per image is the same."""

WARM_UP_SECONDS = 1.0
"""Seconds of training before the measurement."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Training speed of one loop over all rounds, in images per second."""

    name: str
    """`reference`, or the precision that cnn-tui trains in."""

    median: float
    least: float
    """Slowest round."""
    most: float
    """Fastest round."""
    against_reference: float
    """Median over the rounds of the speed relative to the reference."""


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """Results of a benchmark; the field names are the keys of `bench --json`."""

    source: str
    image_shape: tuple[int, ...]
    """Channels, height and width."""
    batch_size: int
    device: str
    threads: int
    rounds: int
    rates: tuple[Rate, ...]
    """Rates of the reference, of cnn-tui in fp32, and of cnn-tui in the requested precision if it
    is not fp32."""
    precision: str
    """Requested precision; all fields below refer to it."""
    matrix_flops: float
    """FLOP/s of a matrix product; median over the rounds."""
    flops_per_image: float
    """FLOPs of convolutions and linear layers in a training step, per image."""
    share_of_matrix_rate: float
    """Median FLOP/s of training as a fraction of `matrix_flops`, 0 to 1."""
    step_seconds: float
    """Median duration of a training step."""
    parts: dict[str, float]
    """Fraction of the step time by part, 0 to 1; see `RunState.part_fractions`."""


def measure(
    config: Config,
    data: DataSet,
    rounds: int,
    seconds: float,
    progress: Progress,
) -> BenchmarkResult:
    """Measure the reference, cnn-tui and a matrix product in turn, in each of several rounds.

    Alternating makes other load on the machine affect all of them alike.

    Args:
        config: Model, device and batch size.
        data: The images.
        rounds: Number of measurements.
        seconds: Minimum duration of a measurement.
        progress: Called with a description, the rounds done and their total.

    Raises:
        ConfigError: the device is not available.
    """
    data = replace(data, train=data.train[:MAX_IMAGES])
    with (
        tempfile.TemporaryDirectory() as runs_dir,
        _trainers(config, data, Path(runs_dir)) as trainers,
    ):
        *_, requested = trainers.values()
        reference = Reference(config, data, requested.state.device)
        measurements: dict[str, Callable[[], float]] = {
            "reference": lambda: reference.images_per_second(seconds),
            **{
                name: partial(images_per_second, trainer, seconds)
                for name, trainer in trainers.items()
            },
            "matrix": lambda: matrix_flops(requested.learner.precision, requested.state.device),
        }
        reference.images_per_second(WARM_UP_SECONDS)
        for trainer in trainers.values():
            images_per_second(trainer, WARM_UP_SECONDS)
        rates: dict[str, list[float]] = {name: [] for name in measurements}
        for done in range(rounds):
            progress("measuring, round", done, rounds)
            for name, measurement in measurements.items():
                rates[name].append(measurement())
        return _result(requested, rates)


@contextmanager
def _trainers(config: Config, data: DataSet, runs_dir: Path) -> Iterator[dict[str, Trainer]]:
    """Yield trainers by precision: fp32 first, the config's precision last."""
    trainers: dict[str, Trainer] = {}
    with ExitStack() as resources:
        for precision in ("fp32", config.train.precision):
            recorder = resources.enter_context(Recorder(create_run(runs_dir)))
            changed = config.replaced("train", precision=precision)
            trainer = Trainer(changed, data, recorder, Control(recorder))
            resources.callback(trainer.close)
            trainers[trainer.learner.precision] = trainer
        yield trainers


def images_per_second(trainer: Trainer, seconds: float) -> float:
    """Train whole epochs for at least `seconds`, at least one; return images per second."""
    epochs, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not epochs:
        trainer.begin_epoch()
        trainer.train_epoch()
        epochs += 1
    return epochs * len(trainer.data.train) / elapsed


def matrix_flops(precision: str, device: torch.device) -> float:
    """Return the FLOP/s of a square matrix product in a precision, a key of `DTYPES`."""
    dtype = DTYPES[precision] or torch.float32
    left, right = (torch.randn(MATRIX_SIDE, MATRIX_SIDE, device=device).to(dtype) for _ in range(2))
    product = torch.mm(left, right)
    seconds = []
    for _ in range(MATRIX_PRODUCTS):
        start = time.perf_counter()
        torch.mm(left, right, out=product)
        product[0, 0].item()  # waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 2 * MATRIX_SIDE**3 / statistics.median(seconds)


def flops_per_image(trainer: Trainer) -> float:
    """Return the FLOPs of convolutions and linear layers in a training step, per image."""
    size = trainer.state.config.train.batch_size
    images, labels = next(trainer.state.loader.batches(trainer.data.train[:size], size))
    with FlopCounter() as counter:
        trainer.learner.train_step(images, labels)
    return float(counter.products / len(labels))


def _result(trainer: Trainer, rates: dict[str, list[float]]) -> BenchmarkResult:
    """Return the results from the measurements of each round, by name.

    Args:
        trainer: Trains in the requested precision.
        rates: Images per second, and FLOP/s of `matrix`.
    """
    flops, precision = flops_per_image(trainer), trainer.learner.precision
    reference, matrix, requested = rates["reference"], rates["matrix"], rates[precision]
    fractions = [flops * rate / limit for rate, limit in zip(requested, matrix, strict=True)]
    height, width, channels = trainer.data.images.shape[1:]
    return BenchmarkResult(
        source=trainer.data.source,
        image_shape=(channels, height, width),
        batch_size=trainer.state.config.train.batch_size,
        device=trainer.state.device.type,
        threads=torch.get_num_threads(),
        rounds=len(reference),
        rates=tuple(
            _rate(name, values, reference) for name, values in rates.items() if name != "matrix"
        ),
        precision=precision,
        matrix_flops=statistics.median(matrix),
        flops_per_image=flops,
        share_of_matrix_rate=statistics.median(fractions),
        step_seconds=trainer.state.config.train.batch_size / statistics.median(requested),
        parts=trainer.recorder.state.part_fractions,
    )


def _rate(name: str, rates: list[float], reference: list[float]) -> Rate:
    ratios = [rate / other for rate, other in zip(rates, reference, strict=True)]
    return Rate(
        name=name,
        median=statistics.median(rates),
        least=min(rates),
        most=max(rates),
        against_reference=statistics.median(ratios),
    )
