"""Measure how long `cnn-tui runs` takes to list many runs.

    python tui/tools/bench_runs.py [--runs 1000 10000] [--repeat 5]

Creates runs in a temporary directory from the logs in `tests/data`, with different settings and
metrics, and lists them: once without cached summaries, then with them. Prints the median
wall-clock time and the peak memory.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOGS = Path(__file__).parents[2] / "tests" / "data"
PROGRAM = "from cnn_tui.main import main; main()"
NAMES = "amber birch coral dune ember fjord grove heron iris jade".split()


def make_runs(runs_dir: Path, count: int, seed: int = 0) -> None:
    """Write run directories, one per hour, the newest an hour ago."""
    rng = random.Random(seed)  # noqa: S311 - not for security
    logs = [(LOGS / f"{name}.jsonl").read_text().splitlines() for name in ("completed", "stopped")]
    for number in range(count):
        started, lines = time.time() - 3600 * (number + 1), rng.choice(logs)
        stamp = time.strftime("%m%d-%H%M", time.localtime(started))
        path = runs_dir / f"{stamp}-{NAMES[number % 10]}-{number}"
        path.mkdir(parents=True)
        text = "\n".join(varied_log(lines, path.name, started, rng)) + "\n"
        (path / "events.jsonl").write_text(text)


def varied_log(lines: list[str], run_id: str, started: float, rng: random.Random) -> list[str]:
    """Return the lines of a log with another id, start, learning rate, seed and accuracy."""
    first, *rest = map(json.loads, lines)
    shift, extra_mistakes = started - first["time"], rng.randrange(8)
    first |= {"run_id": run_id, "name": f"try {rng.randrange(100)}"}
    first["config"]["optimizer"]["lr"] = rng.choice([1e-4, 3e-4, 1e-3, 3e-3])
    first["config"]["train"]["seed"] = rng.randrange(100)
    for event in (first, *rest):
        event["time"] += shift
        if "correct" in event:
            event["correct"] = [max(0, count - extra_mistakes) for count in event["correct"]]
    return [json.dumps(event) for event in (first, *rest)]


def measure(runs_dir: Path, *options: str) -> tuple[float, float]:
    """Return the wall-clock seconds and peak memory in MB of `cnn-tui runs`."""
    command = [sys.executable, "-c", PROGRAM, "runs", "--runs-dir", str(runs_dir), *options]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"cnn-tui runs exited with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes per unit of ru_maxrss
    return seconds, usage.ru_maxrss * unit / 1e6


def report(name: str, measured: list[tuple[float, float]]) -> None:
    """Print the median seconds and the peak memory."""
    seconds = statistics.median(elapsed for elapsed, _ in measured)
    print(f"  {name:<34} {seconds:6.2f} s   {max(memory for _, memory in measured):5.0f} MB")


def main() -> None:
    """Measure and report `cnn-tui runs` for every number of runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, nargs="+", default=[0, 1000, 10000])
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    for count in arguments.runs:
        with tempfile.TemporaryDirectory() as directory:
            runs_dir = Path(directory) / "runs"
            make_runs(runs_dir, count)
            print(f"{count:,} runs")
            report("without summaries cached", [measure(runs_dir)])
            for name, *options in (
                ("with summaries cached",),
                ("--filter 'acc>0.95 lr<=0.001'", "--filter", "acc>0.95 lr<=0.001"),
                ("--sort -test", "--sort", "-test"),
                ("--json", "--json"),
            ):
                report(name, [measure(runs_dir, *options) for _ in range(arguments.repeat)])


if __name__ == "__main__":
    main()
