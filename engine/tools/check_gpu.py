"""Checks training on this machine's NVIDIA GPU and measures its speed; prints one table.

    python engine/tools/check_gpu.py --data-dir DIR [--source cifar10] [--script FILE]

It takes up to eight minutes. DIR is a folder with the images of CIFAR-10, or with `--source
cifar10` the directory of CIFAR-10. With `--script`, `python FILE DIR SEED …` is compared with
`cifar10-94`; it must print a line `RESULT {"test": …, "tta": …, "seconds": …}` for each seed, with
the seconds from its first step to the end of its test. The tests need the extra `[dev]`. Exit code
1 if a check fails.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median, stdev

import torch

from cnn_engine.benchmarks import bench
from cnn_engine.data import loader
from cnn_engine.data.dataset import DataSet, load_dataset
from cnn_engine.runlog.events import (
    EpochFinished,
    EpochStarted,
    Event,
    RunFinished,
    TestFinished,
)
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_engine.system.installation import extra_command
from cnn_engine.training.control import Control
from cnn_engine.training.trainer import Trainer

PROGRAM = [sys.executable, "-c", "from cnn_tui.main import main; main()"]
ROOT = Path(__file__).parents[2]
SIZE = (120, 36)
"""Columns and rows of the dashboard."""

SECONDS = 1.5
"""Minimum duration of the measurement of a rate."""

SEEDS = ((0, 1), (2, 3), (4,))
"""Seeds of `cifar10-94`, in groups that alternate with the script."""


@dataclass
class Table:
    """Results by name; each is printed when it is added, and all of them at the end."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, value: str) -> None:
        """Add and print a line."""
        self.rows.append((name, value))
        print(f"  {name:<44} {value}", flush=True)


@dataclass(frozen=True)
class Images:
    """A data source and its directory."""

    directory: str
    source: str

    @property
    def settings(self) -> list[str]:
        """Config overrides, `KEY=VALUE`, that select these images."""
        size = ["data.image_size=32"] if self.source == "folder" else []
        return [f"data.source={self.source}", f"data.path={json.dumps(self.directory)}", *size]

    @property
    def options(self) -> list[str]:
        """The same as command-line options."""
        return [word for setting in self.settings for word in ("--set", setting)]


def main() -> None:
    """Run all checks, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--source", default="folder")
    parser.add_argument("--script", help="script to compare with cifar10-94")
    parser.add_argument("--skip", nargs="*", default=[], help="names of checks to skip")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no NVIDIA GPU here")
    images, table, start = Images(options.data_dir, options.source), Table(), time.monotonic()
    table.add("GPU", torch.cuda.get_device_name(0))
    table.add("PyTorch, Python", f"{torch.__version__}, {sys.version.split()[0]}")
    checks: dict[str, Callable[[], None]] = {
        "data": lambda: check_data(images, table),
        "published": lambda: check_published(images, table),
        "recipe": lambda: check_recipe(images, options.script, table),
        "tests": lambda: check_tests(table),
        "dashboard": lambda: check_dashboard(images, table),
        "commands": lambda: check_commands(images, table),
        "rates": lambda: check_rates(images, table),
    }
    for name, check in checks.items():
        if name in options.skip:
            continue
        began = time.monotonic()
        try:
            check()
        except Exception as error:  # noqa: BLE001 - the other checks still run
            table.failures.append(name)
            table.add(name, f"FAILED: {type(error).__name__}: {error}"[:300])
        print(f"  ({name}: {time.monotonic() - began:.0f} s)", flush=True)
    print(f"\n{'':2}{'check':<44} on this machine, in {time.monotonic() - start:.0f} s")
    for name, value in table.rows:
        print(f"  {name:<44} {value}")
    sys.exit(1 if table.failures else 0)


def check_data(images: Images, table: Table) -> None:
    """Load the images once, so that later checks use the cache of decoded images."""
    start = time.monotonic()
    config = Request.from_preset("cifar10", images.settings).config
    data = load_dataset(config.data, 0, lambda *_: None)
    table.add("images read", f"{len(data.images):,} in {time.monotonic() - start:.1f} s")


def check_published(images: Images, table: Table) -> None:
    """Run the published procedure with the command line, and measure it from start to exit."""
    with tempfile.TemporaryDirectory() as directory:
        command = ["run", "cifar10", "--no-ui", *images.options, "--runs-dir", directory]
        start = time.monotonic()
        process = subprocess.Popen(  # noqa: S603
            [*PROGRAM, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        meter = _UtilizationMeter()
        _, errors = process.communicate()
        seconds, utilization = time.monotonic() - start, meter.stop()
        if process.returncode:
            raise RuntimeError(errors.decode()[-300:])
        events = _events(Path(directory))
    test = _only(events, TestFinished)
    epochs = [event for event in events if isinstance(event, EpochFinished)]
    rates = [40_000 / epoch.train_seconds for epoch in epochs][1:]
    begun = next(event.time for event in events if isinstance(event, EpochStarted))
    ended = next(event.time for event in events if isinstance(event, RunFinished))
    table.add(f"published, {len(epochs)} epochs, command to exit", f"{seconds:.1f} s")
    table.add("  first epoch to end of test", f"{ended - begun:.1f} s")
    table.add("  training, batch 64, bf16", f"{median(rates):,.0f} images/s")
    table.add("  test accuracy", f"{test.accuracy:.2%}")
    table.add("  GPU utilization (median)", utilization)


def check_recipe(images: Images, script: str | None, table: Table) -> None:
    """Train `cifar10-94` with five seeds, alternating with the script if one is given."""
    found: dict[str, list[tuple[float, float, float]]] = {"cifar10-94": []}
    for seeds in SEEDS:
        found["cifar10-94"] += _train_in_new_process(images, seeds)
        if script:
            found.setdefault(script, []).extend(_run_script(script, images.directory, seeds))
    for name, results in found.items():
        plain, tta, seconds = zip(*results, strict=True)
        label = Path(name).name
        table.add(
            f"{label}, first step to end of test",
            f"{median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})",
        )
        accuracies = f"{_spread(plain)}; {_spread(tta)}"
        table.add(f"  test; with six views; {len(plain)} seeds", accuracies)


def _train_in_new_process(
    images: Images, seeds: tuple[int, ...]
) -> list[tuple[float, float, float]]:
    code = "import check_gpu, sys, json; check_gpu.train_recipe(*json.loads(sys.argv[1]))"
    arguments = json.dumps([images.directory, images.source, seeds])
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, arguments],
        cwd=Path(__file__).parent,
        check=False,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise RuntimeError(result.stderr[-300:])
    return _results(result.stdout)


def train_recipe(directory: str, source: str, seeds: list[int]) -> None:
    """Train `cifar10-94` once as a warm-up, then with each seed; print the results."""
    images = Images(directory, source)
    for number, seed in enumerate([seeds[0], *seeds]):
        with tempfile.TemporaryDirectory() as runs_dir:
            events = _train("cifar10-94", [*images.settings, f"train.seed={seed}"], Path(runs_dir))
        test = _only(events, TestFinished)
        begun = next(event.time for event in events if isinstance(event, EpochStarted))
        tta = sum(test.tta_correct) / sum(test.total)
        result = {"test": test.accuracy, "tta": tta, "seconds": test.time - begun}
        print(("RESULT " if number else "warm-up ") + json.dumps(result), flush=True)


def _run_script(
    script: str, directory: str, seeds: tuple[int, ...]
) -> list[tuple[float, float, float]]:
    command = [sys.executable, script, directory, *map(str, seeds)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if result.returncode:
        raise RuntimeError(result.stderr[-300:])
    return _results(result.stdout)


def _results(output: str) -> list[tuple[float, float, float]]:
    lines = [line.removeprefix("RESULT ") for line in output.splitlines() if "RESULT " in line]
    return [(run["test"], run["tta"], run["seconds"]) for run in map(json.loads, lines)]


def check_rates(images: Images, table: Table) -> None:
    """Measure the rate in each precision, with and without CUDA graphs, and with staged images."""
    base = Request.from_preset("cifar10", images.settings).config
    data = load_dataset(base.data, 0, lambda *_: None)
    variants = {
        "published, bf16": ("cifar10", ()),
        "published, bf16, graph off": ("cifar10", ("train.graph=off",)),
        "published, tf32": ("cifar10", ("train.precision=tf32",)),
        "published, fp32": ("cifar10", ("train.precision=fp32",)),
        "published, fp16": ("cifar10", ("train.precision=fp16",)),
        "cifar10-fast, bf16": ("cifar10-fast", ()),
        "cifar10-94, bf16": ("cifar10-94", ()),
        "cifar10-94, bf16, graph off": ("cifar10-94", ("train.graph=off",)),
        "cifar10-96, bf16": ("cifar10-96", ()),
    }
    for name, (preset, settings) in variants.items():
        table.add(name, f"{_rate(preset, [*images.settings, *settings], data):,.0f} images/s")
    for preset in ("cifar10", "cifar10-94"):
        ratios = []
        for _ in range(2):
            on_gpu = _rate(preset, images.settings, data)
            limit, loader.MAX_GPU_FRACTION = loader.MAX_GPU_FRACTION, 0.0
            try:
                staged = _rate(preset, images.settings, data)
            finally:
                loader.MAX_GPU_FRACTION = limit
            ratios.append(staged / on_gpu)
        table.add(
            f"{preset}, images on the host",
            f"{median(ratios):.0%} of the rate with images on the GPU",
        )


def _rate(preset: str, settings: list[str], data: DataSet) -> float:
    config = Request.from_preset(preset, settings).config
    with (
        tempfile.TemporaryDirectory() as directory,
        Recorder(create_run(Path(directory))) as recorder,
    ):
        trainer = Trainer(config, data, recorder, Control(recorder))
        bench.images_per_second(trainer, 0.0)
        rate = bench.images_per_second(trainer, SECONDS)
        trainer.close()
    return rate


def check_commands(images: Images, table: Table) -> None:
    """Measure the latency of commands while short steps are launched ahead."""
    waits: dict[str, list[float]] = {"pause": [], "unpause": [], "lr": [], "stop": []}
    for number in range(4):
        with tempfile.TemporaryDirectory() as directory:
            run, engine, recorder = _engine(
                "cifar10", [*images.settings, "train.epochs=1000"], Path(directory)
            )
            engine.start()
            while not recorder.state.is_captured:
                time.sleep(0.01)
            time.sleep(0.3 + 0.07 * number)
            for name, seconds in waits.items():
                value = 1e-4 if name == "lr" else None
                seconds.append(_latency(run, recorder, name, value))
                time.sleep(0.1)
            engine.join()
    for name, seconds in waits.items():
        longest = f"at most {1e3 * max(seconds):.0f}"
        table.add(f"latency of {name}", f"{1e3 * median(seconds):.0f} ms, {longest}")


def _latency(run: RunDirectory, recorder: Recorder, name: str, value: float | None) -> float:
    known, sent = len(recorder.state.commands), time.time()
    send(run.commands, Command(name=name, by="cli", value=value))  # type: ignore[arg-type]
    while len(recorder.state.commands) == known:
        time.sleep(0.002)
    return recorder.state.commands[-1].time - sent


def check_dashboard(images: Images, table: Table) -> None:
    """Compare the training time with and without the dashboard, in turn."""
    ratios = []
    for _ in range(3):
        plain = _train_on_terminal(images, ["--no-ui"])
        ratios.append(_train_on_terminal(images, []) / plain)
    rounds = ", ".join(f"{ratio - 1:+.1%}" for ratio in ratios)
    table.add("training time, dashboard vs --no-ui", f"{median(ratios) - 1:+.1%} ({rounds})")


def _train_on_terminal(images: Images, options: list[str]) -> float:
    """Train eight epochs on a terminal; return the training time of the last six in seconds."""
    with tempfile.TemporaryDirectory() as directory:
        words = ["run", "cifar10", "--epochs", "8", *images.options, "--runs-dir", directory]
        child, descriptor = pty.fork()
        if child == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execv(PROGRAM[0], [*PROGRAM, *words, *options])  # noqa: S606
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        start = time.monotonic()
        for _ in _read(descriptor):
            if time.monotonic() - start > 5 and not options and _is_done(Path(directory)):
                os.write(descriptor, b"q")
        os.waitpid(child, 0)
        events = _events(Path(directory))
        epochs = [event for event in events if isinstance(event, EpochFinished)]
        return sum(epoch.train_seconds for epoch in epochs[2:])


def _read(descriptor: int) -> Iterator[bytes]:
    """Yield the output of a program on its terminal; b"" after 0.2 s without output."""
    while True:
        ready, _, _ = select.select([descriptor], [], [], 0.2)
        try:
            chunk = os.read(descriptor, 1 << 16) if ready else b""
        except OSError:
            return
        if ready and not chunk:
            return
        yield chunk


def _is_done(directory: Path) -> bool:
    return any(isinstance(event, RunFinished) for event in _events(directory))


def check_tests(table: Table) -> None:
    """Run the tests that need a GPU."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "6", "-p", "no:cacheprovider"]
    result = subprocess.run(  # noqa: S603
        [
            *command,
            "-p",
            "no:benchmark",
            "--timeout",
            "120",
            "tests/engine/training/test_gpu_training.py",
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    lines = result.stdout.strip().splitlines()
    table.add("pytest -m gpu", lines[-1] if lines else result.stderr[-200:])
    if result.returncode:
        print("\n".join(lines[-80:]))
        raise RuntimeError(f"pytest ended with {result.returncode}")


class _UtilizationMeter:
    """Samples the GPU utilization in a thread."""

    def __init__(self) -> None:
        self._percentages: list[int] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stopping.wait(0.2):
            try:
                self._percentages.append(torch.cuda.utilization(0))
            except Exception:  # noqa: BLE001 - nvidia-ml-py is missing, or an error of the driver
                return

    def stop(self) -> str:
        """Stop; return the median of the samples above 5 %, which are taken during training."""
        self._stopping.set()
        self._thread.join()
        busy = [percentage for percentage in self._percentages if percentage > 5]
        if not busy:
            return f"unknown; install nvidia-ml-py with: {extra_command('gpu', 'nvidia-ml-py')}"
        return f"{median(busy):.0f}%"


def _train(preset: str, settings: list[str], runs_dir: Path) -> list[Event]:
    _, engine, _ = _engine(preset, settings, runs_dir)
    engine.start()
    engine.join()
    return _events(runs_dir)


def _engine(
    preset: str, settings: list[str], runs_dir: Path
) -> tuple[RunDirectory, Engine, Recorder]:
    run = create_run(runs_dir)
    recorder = Recorder(run)
    return run, Engine(Request.from_preset(preset, settings), recorder), recorder


def _events(runs_dir: Path) -> list[Event]:
    log = next(runs_dir.glob("*/events.jsonl"), None)
    return list(LogReader(log).poll()) if log else []


def _only(events: list[Event], kind: type) -> "TestFinished":
    found = [event for event in events if isinstance(event, kind)]
    if not found:
        raise RuntimeError(f"the run has no {kind.__name__}")
    return found[0]


def _spread(values: tuple[float, ...]) -> str:
    deviation = f" ± {100 * stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.2f}{deviation} %"


if __name__ == "__main__":
    main()
