"""Compares accuracy and time of presets with 20 epochs of the published loop, over several seeds.

    python engine/tools/bench_recipes.py --data-dir DIR [--presets cifar10-fast cifar10-94]
        [--seeds 3] [--script FILE]

DIR is a folder of images, or with `--source cifar10` the directory of CIFAR-10. Each round runs
every preset with the same seed, in turn, so that other load on the machine affects all alike. With
`--script`, it also runs `python FILE DIR SEED`, whose last line must be `RESULT {"test": …, "tta":
…, "seconds": …}`. The published loop trains for a few seconds in each round; the time of its 20
epochs, with validation, is extrapolated from its rate.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev

from cnn_engine.benchmarks.bench import flops_per_image
from cnn_engine.benchmarks.reference import Reference
from cnn_engine.config.schema import Config
from cnn_engine.data.dataset import DataSet, load_dataset
from cnn_engine.runlog.state import INFERENCE_COST
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_engine.system.device import choose_device, limit_threads
from cnn_engine.system.malloc import keep_freed_memory
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer

PUBLISHED_EPOCHS = 20
"""Epochs of the published procedure."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of one run; accuracies 0 to 1."""

    test: float
    tta: float | None
    """With test-time augmentation; None without it."""

    seconds: float
    """Seconds from the end of loading to the end of the test."""

    train_seconds: float | None = None
    """Seconds of all training steps; None for a script."""


def main() -> None:
    """Print the result of each run when it ends, then a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--source", default="folder")
    parser.add_argument("--presets", nargs="+", default=["cifar10-fast", "cifar10-94"])
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--script", help="script to compare with the presets")
    parser.add_argument(
        "--reference-seconds",
        type=float,
        default=20.0,
        help="seconds of the published loop in each round",
    )
    options = parser.parse_args()
    keep_freed_memory()
    limit_threads()
    settings = [f"data.source={options.source}", f"data.path={json.dumps(options.data_dir)}"]
    if options.source == "folder":
        settings.append("data.image_size=32")
    settings += options.settings
    requests = {name: Request.from_preset(name, settings) for name in options.presets}
    published = Request.from_preset("cifar10", settings).config
    data = load_dataset(published.data, 0, lambda *_: None)
    reference = Reference(published, data, choose_device(published.train))
    names = [*requests, options.script] if options.script else [*requests]
    rates: list[float] = []
    outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
    reference.images_per_second(2.0)  # the first steps are slower
    for seed in range(options.seeds):
        rates.append(reference.images_per_second(options.reference_seconds))
        print(f"seed {seed}  published loop: {rates[-1]:,.0f} images/s", flush=True)
        for name in requests:
            outcome = _train(name, [*settings, f"train.seed={seed}"])
            _print_outcome(name, seed, outcome)
            outcomes[name].append(outcome)
        if options.script:
            outcome = _run_script(options.script, options.data_dir, seed)
            _print_outcome(options.script, seed, outcome)
            outcomes[options.script].append(outcome)
    _print_table(outcomes, requests, published_seconds(data, median(rates)), data)


def published_seconds(data: DataSet, rate: float) -> float:
    """Return the time of the published procedure's epochs at `rate` images per second."""
    return PUBLISHED_EPOCHS * (len(data.train) + len(data.val) * INFERENCE_COST) / rate


def _train(preset: str, settings: list[str]) -> Outcome:
    with tempfile.TemporaryDirectory() as runs_dir:
        recorder = Recorder(create_run(Path(runs_dir)))
        engine = Engine(Request.from_preset(preset, settings), recorder)
        engine.start()
        engine.join()
    state = recorder.state
    if state.test is None or state.prepared is None or state.finished is None:
        raise SystemExit(state.finished.error if state.finished else "the run did not end")
    return Outcome(
        test=state.test.accuracy,
        tta=state.test.tta_accuracy,
        seconds=state.finished.time - state.prepared.time,
        train_seconds=sum(epoch.train_seconds for epoch in state.epochs),
    )


def _run_script(script: str, data_dir: str, seed: int) -> Outcome:
    command = [sys.executable, script, data_dir, str(seed)]
    start = time.perf_counter()
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    last = output.strip().splitlines()[-1].partition("RESULT ")[2]
    result = json.loads(last)
    return Outcome(
        test=result["test"],
        tta=result.get("tta"),
        seconds=result.get("seconds", time.perf_counter() - start),
    )


def _print_outcome(name: str, seed: int, outcome: Outcome) -> None:
    tta = "" if outcome.tta is None else f", {outcome.tta:.2%} with test-time augmentation"
    print(f"seed {seed}  {name}: test {outcome.test:.2%}{tta}, {outcome.seconds:.1f} s", flush=True)


def _print_table(
    outcomes: dict[str, list[Outcome]],
    requests: dict[str, Request],
    published: float,
    data: DataSet,
) -> None:
    print(f"\n{PUBLISHED_EPOCHS} epochs of the published loop: {published:,.0f} s (extrapolated)")
    print(_row("", "test", "with TTA", "wall-clock s", "ratio", "GFLOP/s"))
    for name, runs in outcomes.items():
        seconds = median(outcome.seconds for outcome in runs)
        tta = [outcome.tta for outcome in runs if outcome.tta is not None]
        rate = _gigaflops(requests[name].config, data, runs) if name in requests else None
        cells = (
            _spread([outcome.test for outcome in runs]),
            _spread(tta),
            f"{seconds:.1f}",
            f"1/{published / seconds:.1f}",
            "–" if rate is None else f"{rate:.0f}",
        )
        print(_row(Path(name).name, *cells))


def _row(name: str, *cells: str) -> str:
    widths = (16, 16, 13, 7, 8)
    columns = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return " ".join([f"{name:<24}", *columns])


def _spread(values: list[float]) -> str:
    if not values:
        return "–"
    deviation = f" ± {100 * stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.2f}{deviation} %"


def _gigaflops(config: Config, data: DataSet, runs: list[Outcome]) -> float:
    """Return the median GFLOP/s of training in convolutions and linear layers."""
    with tempfile.TemporaryDirectory() as runs_dir:
        recorder = Recorder(create_run(Path(runs_dir)))
        with recorder:
            flops = flops_per_image(Trainer(config, data, recorder, Control(recorder)))
    images = config.train.epochs * round(
        (len(data.train) + len(data.val)) * (1 - config.data.validation_fraction)
    )
    seconds = median(outcome.train_seconds or 0.0 for outcome in runs)
    return flops * images / seconds / 1e9


if __name__ == "__main__":
    main()
