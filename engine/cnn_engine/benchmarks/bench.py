"""Training speed of this machine, against the published loop and the machine's limit."""

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
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.device import DTYPES
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer

MATRIX_SIDE = 2048
"""Side of the matrices that measure the machine's rate."""

MATRIX_PRODUCTS = 8
"""Products per measurement; the median is used."""

MAX_IMAGES = 6_400
"""Training images, to keep epochs short; the time per image does not depend on it."""

WARM_UP_SECONDS = 1.0
"""Seconds of training before the measurement."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Training images per second over the rounds."""

    name: str
    """`reference`, or the precision of our loop."""

    median: float
    least: float
    most: float
    against_reference: float
    """Median ratio to the reference in the same round."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Results of a benchmark."""

    source: str
    image_shape: tuple[int, ...]
    """Channels, height and width."""
    batch_size: int
    device: str
    threads: int
    rounds: int
    rates: tuple[Rate, ...]
    """The reference, ours in fp32, and ours in the precision asked for where that is another."""
    precision: str
    """Requested precision, of all values below."""
    matrix_flops: float
    """Floating-point operations per second of a matrix product; median over the rounds."""
    flops_per_image: float
    """Floating-point operations of convolutions and linear layers in a training step."""
    share_of_matrix_rate: float
    """Median fraction of the matrix rate that training reaches."""
    step_seconds: float
    """Median time of a step."""
    parts: dict[str, float]
    """Share of a step's time in each part, as `RunState.part_fractions`."""


def measure(
    config: Config,
    data: DataSet,
    rounds: int,
    seconds: float,
    progress: Callable[[str, int, int], None],
) -> Measured:
    """Measure alternately, so that disturbances affect all alike.

    Args:
        config: Model, device and batch size.
        data: The images.
        rounds: Number of measurements.
        seconds: Minimum duration of a measurement.
        progress: Called with the current round and their number.

    Raises:
        ConfigError: the device is not available.
    """
    data = replace(data, train=data.train[:MAX_IMAGES])
    with tempfile.TemporaryDirectory() as runs_dir, _ours(config, data, Path(runs_dir)) as ours:
        asked = list(ours.values())[-1]
        reference = Reference(config, data, asked.state.device)
        measurements: dict[str, Callable[[], float]] = {
            "reference": lambda: reference.images_per_second(seconds),
            **{
                name: partial(images_per_second, training, seconds)
                for name, training in ours.items()
            },
            "matrix": lambda: matrix_flops(asked.learner.precision, asked.state.device),
        }
        reference.images_per_second(WARM_UP_SECONDS)
        for training in ours.values():
            images_per_second(training, WARM_UP_SECONDS)
        found: dict[str, list[float]] = {name: [] for name in measurements}
        for done in range(rounds):
            progress("measuring, round", done, rounds)
            for name, measurement in measurements.items():
                found[name].append(measurement())
        return _measured(asked, found)


@contextmanager
def _ours(config: Config, data: DataSet, runs_dir: Path) -> Iterator[dict[str, Trainer]]:
    """Our loop by precision: in fp32, and last in what the config asks for, if that is another."""
    trainings: dict[str, Trainer] = {}
    with ExitStack() as recorders:
        for precision in ("fp32", config.train.precision):
            recorder = recorders.enter_context(Recorder(create_run(runs_dir)))
            changed = config.replaced("train", precision=precision)
            training = Trainer(changed, data, recorder, Control(recorder))
            recorders.callback(training.close)
            trainings[training.learner.precision] = training
        yield trainings


def images_per_second(training: Trainer, seconds: float) -> float:
    """Images trained on in a second, over as many epochs as begin in so many; one at least."""
    epochs, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or not epochs:
        training.begin_epoch()
        training.train_epoch()
        epochs += 1
    return epochs * len(training.data.train) / elapsed


def matrix_flops(precision: str, device: torch.device) -> float:
    """Operations a second of a plain matrix product in the arithmetic of `precision`."""
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


def flops_per_image(training: Trainer) -> float:
    """Operations of convolutions and dense layers in one training step, an image."""
    size = training.state.config.train.batch_size
    images, labels = next(training.state.loader.batches(training.data.train[:size], size))
    with FlopCounter() as count:
        training.learner.train_step(images, labels)
    return float(count.products / len(labels))


def _measured(training: Trainer, found: dict[str, list[float]]) -> Measured:
    flops = flops_per_image(training)
    reference, matrix, own = found["reference"], found["matrix"], found[training.learner.precision]
    shares = [flops * rate / most for rate, most in zip(own, matrix, strict=True)]
    channels_last = training.data.images.shape[1:]
    return Measured(
        source=training.data.source,
        image_shape=(channels_last[2], *channels_last[:2]),
        batch_size=training.state.config.train.batch_size,
        device=training.state.device.type,
        threads=torch.get_num_threads(),
        rounds=len(reference),
        rates=tuple(
            _rate(name, rates, reference) for name, rates in found.items() if name != "matrix"
        ),
        precision=training.learner.precision,
        matrix_flops=statistics.median(matrix),
        flops_per_image=flops,
        share_of_matrix_rate=statistics.median(shares),
        step_seconds=training.state.config.train.batch_size / statistics.median(own),
        parts=training.recorder.state.part_fractions,
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
