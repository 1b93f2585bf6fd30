"""Measures what `import cnn_tui` costs a training loop.

    python engine/tools/bench_tracking.py

Prints the processor time to import it; the median time of a call of `log` with floats and with a
tensor on the CPU, in turn with `SummaryWriter.add_scalar` and an empty loop; and the processor time
of all threads at 1,000 steps per second, as a share of a step of a millisecond.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.tensorboard import SummaryWriter

from cnn_engine.tracking.start import Plan, start

IMPORTS = {
    "python": "pass",
    "import cnn_tui": "import cnn_tui",
    "import cnn_tui; cnn_tui.init": "import cnn_tui; cnn_tui.init",
}
REPEATS = 7
"""Processes of which each prints the median."""

ROUNDS, CALLS = 10, 500
"""Rounds in which the subjects take turns, and calls of each in a round."""

STEP_SECONDS, STEPS = 0.001, 1000
"""Duration of a step, and steps, of the loops whose processor time is measured."""


def main() -> None:
    """Print all measurements."""
    for name, code in IMPORTS.items():
        milliseconds = statistics.median(_process_seconds(code) for _ in range(REPEATS)) * 1000
        print(f"{name:<42} {milliseconds:7.0f} ms")
    with tempfile.TemporaryDirectory() as directory:
        print_calls(Path(directory))


def print_calls(directory: Path) -> None:
    """Print the cost of a call of each subject."""
    loss, tensor = 0.5, torch.tensor(0.5)
    steps = iter(range(10**9))
    run = start(Plan(runs_dir=directory / "runs"))
    writer = SummaryWriter(directory / "tensorboard")
    subjects: dict[str, Callable[[], object]] = {
        "empty loop": lambda: None,
        "run.log, float": lambda: run.log({"train/loss": loss}),
        "run.log, tensor on the CPU": lambda: run.log({"train/loss": tensor}),
        "run.log, 10 floats": lambda: run.log({f"x/{number}": loss for number in range(10)}),
        "SummaryWriter.add_scalar, float": lambda: writer.add_scalar(
            "train/loss", loss, next(steps)
        ),
        "SummaryWriter.add_scalar, tensor": lambda: writer.add_scalar(
            "train/loss", tensor, next(steps)
        ),
    }
    durations: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, call in subjects.items():
            durations[name] += _call_seconds(call)
    idle = _processor_seconds(subjects["empty loop"])
    for name, call in subjects.items():
        median = statistics.median(durations[name]) * 1e6
        share = (_processor_seconds(call) - idle) / STEPS / STEP_SECONDS
        print(f"{name:<42} {median:7.2f} µs a call, {share:6.2%} of a step of 1 ms, all threads")
    run.finish()
    writer.close()


def _process_seconds(code: str) -> float:
    """Return the processor time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _call_seconds(call: Callable[[], object]) -> list[float]:
    clock, durations = time.perf_counter, []
    for _ in range(CALLS):
        began = clock()
        call()
        durations.append(clock() - began)
    time.sleep(0.05)  # whoever writes in a thread does so now
    return durations


def _processor_seconds(call: Callable[[], object]) -> float:
    """Return the processor time of all threads for steps with a call each."""
    began = time.process_time()
    for _ in range(STEPS):
        call()
        time.sleep(STEP_SECONDS)
    return time.process_time() - began


if __name__ == "__main__":
    main()
