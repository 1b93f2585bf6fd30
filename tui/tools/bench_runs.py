"""How long many runs take to list, from the start of the program to its last line.

    python tui/tools/bench_runs.py [--runs 1000 10000] [--repeat 5]

Makes that many run directories in a temporary place, of the logs in `tests/data` with settings and
figures that differ from run to run, and lists them as a user would: once without any cached
figures, then with them. It prints the median of the wall-clock times, and the peak of memory.
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
WORDS = "amber birch coral dune ember fjord grove heron iris jade".split()


def make_runs(runs_dir: Path, count: int, seed: int = 0) -> None:
    """Write run directories, the newest an hour ago and one an hour."""
    random_ = random.Random(seed)  # noqa: S311 - nothing is to be kept secret
    logs = [(LOGS / f"{name}.jsonl").read_text().splitlines() for name in ("completed", "stopped")]
    for number in range(count):
        started, lines = time.time() - 3600 * (number + 1), random_.choice(logs)
        stamp = time.strftime("%m%d-%H%M", time.localtime(started))
        path = runs_dir / f"{stamp}-{WORDS[number % 10]}-{number}"
        path.mkdir(parents=True)
        text = "\n".join(changed(lines, path.name, started, random_)) + "\n"
        (path / "events.jsonl").write_text(text)


def changed(lines: list[str], run_id: str, started: float, random_: random.Random) -> list[str]:
    """A log with another id, start, learning rate, seed and accuracy."""
    first, *rest = map(json.loads, lines)
    later, worse = started - first["time"], random_.randrange(8)
    first |= {"run_id": run_id, "name": f"try {random_.randrange(100)}"}
    first["config"]["optimizer"]["lr"] = random_.choice([1e-4, 3e-4, 1e-3, 3e-3])
    first["config"]["train"]["seed"] = random_.randrange(100)
    for event in (first, *rest):
        event["time"] += later
        if "correct" in event:
            event["correct"] = [max(0, right - worse) for right in event["correct"]]
    return [json.dumps(event) for event in (first, *rest)]


def measure(runs_dir: Path, *options: str) -> tuple[float, float]:
    """Wall-clock seconds of `cnn-tui runs`, and the peak of its memory in MB."""
    command = [sys.executable, "-c", PROGRAM, "runs", "--runs-dir", str(runs_dir), *options]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"cnn-tui runs ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return seconds, usage.ru_maxrss * unit / 1e6


def report(what: str, measured: list[tuple[float, float]]) -> None:
    """Print one line."""
    seconds = statistics.median(taken for taken, _ in measured)
    print(f"  {what:<34} {seconds:6.2f} s   {max(memory for _, memory in measured):5.0f} MB")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, nargs="+", default=[0, 1000, 10000])
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    for count in arguments.runs:
        with tempfile.TemporaryDirectory() as directory:
            runs_dir = Path(directory) / "runs"
            make_runs(runs_dir, count)
            print(f"{count:,} runs")
            report("no figures cached", [measure(runs_dir)])
            for what, *options in (
                ("listed",),
                ("--filter 'acc>0.95 lr<=0.001'", "--filter", "acc>0.95 lr<=0.001"),
                ("--sort -test", "--sort", "-test"),
                ("--json", "--json"),
            ):
                report(what, [measure(runs_dir, *options) for _ in range(arguments.repeat)])


if __name__ == "__main__":
    main()
