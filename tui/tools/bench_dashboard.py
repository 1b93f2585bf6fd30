"""Measure the cost and response times of the dashboard, in real terminals with real training.

    python tui/tools/bench_dashboard.py [--config folder --data-dir DIR] [--epochs 4] [--pairs 5]
                                        [--only paint,metrics]

Prints one line per metric, with its budget; `--only` takes keys of `BENCHES`. Terminals have
120×36 cells.
"""

import argparse
import fcntl
import os
import pty
import random
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from cnn_engine.runlog import events
from cnn_engine.runlog.events import EpochFinished, Event, StepsFinished
from cnn_engine.runlog.lines import to_line
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.lookup import find_run

CLI = [sys.executable, "-c", "from cnn_tui.main import main; main()"]
COLUMNS, ROWS = 120, 36
ENDLESS = "100000"


class Pty:
    """A program on its own pseudo-terminal."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.raw = b""
        self.started = time.monotonic()
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            size = struct.pack("HHHH", ROWS, COLUMNS, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.chdir(cwd)
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execvp(CLI[0], [*CLI, *arguments])  # noqa: S606

    def read(self, seconds: float) -> int:
        """Read for `seconds` and return the number of bytes."""
        start, end = len(self.raw), time.monotonic() + seconds
        while (remaining := end - time.monotonic()) > 0:
            self._read(remaining)
        return len(self.raw) - start

    def wait_for(self, text: str, *, seconds: float = 120.0) -> float:
        """Read until the text is written again, and return the seconds it took.

        Raises:
            SystemExit: the text is not written within `seconds`, or the program has ended.
        """
        start, bytes_before = time.monotonic(), len(self.raw)
        while text.encode() not in self.raw[bytes_before:]:
            if time.monotonic() - start > seconds or not self._read(0.2):
                raise SystemExit(f"{text!r} was not written; last output: {self.raw[-300:]!r}")
        return time.monotonic() - start

    def press(self, keys: str) -> None:
        """Type the keys."""
        os.write(self._descriptor, keys.encode())

    def megabytes(self) -> float:
        """Return the resident memory of the program and its supervisor."""
        supervisor = psutil.Process(self.pid)
        processes = [supervisor, *supervisor.children()]
        return sum(process.memory_info().rss for process in processes) / 1e6

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and read until the program ends."""
        os.kill(self.pid, number)
        self.join()

    def join(self) -> None:
        """Read until the program ends."""
        while self._read(0.5):
            pass
        os.waitpid(self.pid, 0)
        os.close(self._descriptor)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        if not ready:
            return True
        try:
            content = os.read(self._descriptor, 65536)
        except OSError:
            return False
        self.raw += content
        return bool(content)


class Bench:
    """Directory of the runs, and the training command."""

    def __init__(self, arguments: argparse.Namespace, directory: Path) -> None:
        self.pairs = int(arguments.pairs)
        self.epochs = str(arguments.epochs)
        self.directory = directory
        self.command = ["run", arguments.config]
        if arguments.data_dir:
            self.command += ["--data-dir", str(Path(arguments.data_dir).absolute())]

    def latest_events(self) -> list[Event]:
        """Return the events of the latest run."""
        return list(LogReader(self.latest_run().events).poll())

    def latest_run(self) -> RunDirectory:
        """Return the latest run."""
        return find_run(self.directory / "runs", "latest")

    def start_training(self) -> Pty:
        """Start an endless run with a dashboard and wait until it trains."""
        terminal = Pty(*self.command, "--epochs", ENDLESS, cwd=self.directory)
        terminal.wait_for("img/s")
        terminal.read(5)
        return terminal


def report(name: str, value: str, budget: str) -> None:
    """Print a metric with its budget."""
    print(f"{name:<44} {value:>24}   budget {budget}", flush=True)


def images_per_second(logged: list[Event]) -> float:
    """Return the images per second of training, without the first epoch."""
    epochs = [event for event in logged if isinstance(event, EpochFinished)][1:]
    numbers = {event.epoch for event in epochs}
    images = sum(
        event.images
        for event in logged
        if isinstance(event, StepsFinished) and event.epoch in numbers
    )
    return images / sum(event.train_seconds for event in epochs)


def overhead(bench: Bench) -> None:
    """Compare the training speed with and without the dashboard, in alternating pairs."""
    ratios = []
    command = [*bench.command, "--epochs", bench.epochs]
    for number in range(bench.pairs):
        speeds: dict[bool, float] = {}
        for has_dashboard in (True, False) if number % 2 else (False, True):
            if has_dashboard:
                terminal = Pty(*command, cwd=bench.directory)
                terminal.wait_for("Done after", seconds=600)
                terminal.press("q")
                terminal.join()
            else:
                headless = [*CLI, *command, "--no-ui"]
                subprocess.run(headless, cwd=bench.directory, check=True, capture_output=True)  # noqa: S603
            speeds[has_dashboard] = images_per_second(bench.latest_events())
        ratios.append(speeds[True] / speeds[False])
        print(f"    with {speeds[True]:,.0f}, without {speeds[False]:,.0f} img/s", flush=True)
    slowdown = 100 * (1 - statistics.median(ratios))
    report("slowdown of training by the dashboard", f"{slowdown:.1f} %", "2 %")


def processor(bench: Bench) -> None:
    """Measure the CPU time of the drawing thread, which slows down training.

    On a shared machine, the training speed itself varies by more than this.
    """
    terminal = bench.start_training()
    (process,) = psutil.Process(terminal.pid).children()

    def seconds() -> float:
        main = next(thread for thread in process.threads() if thread.id == process.pid)
        return float(main.user_time + main.system_time)

    before = seconds()
    terminal.read(30)
    cpu_fraction = (seconds() - before) / 30
    terminal.end()
    cores = psutil.cpu_count() or 1
    value = f"{1000 * cpu_fraction:.1f} ms/s, {100 * cpu_fraction / cores:.2f} %"
    report(f"CPU time of drawing, of {cores} cores", value, "2 %")


def bytes_written(bench: Bench) -> None:
    """Measure the bytes per second to the terminal, while training and idle."""
    terminal = bench.start_training()
    count = terminal.read(30)
    terminal.end()
    report("bytes to the terminal while training", f"{count / 30:,.0f} B/s", "2,000 B/s")
    terminal = Pty("watch", cwd=bench.directory)
    terminal.wait_for("after")
    terminal.read(3)
    count = terminal.read(10)
    terminal.press("q")
    terminal.join()
    report("bytes when nothing changes", f"{count / 10:,.0f} B/s", "0 B/s")


def keys(bench: Bench) -> None:
    """Measure the time from a key to the new screen, at random moments of training."""
    terminal = bench.start_training()
    times = []
    for number in range(100):
        terminal.read(random.uniform(0.05, 0.4))  # noqa: S311 - not for security
        key, title = ("2", "Classes") if number % 2 == 0 else ("1", "Epochs")
        terminal.press(key)
        times.append(1000 * terminal.wait_for(title))
    terminal.end()
    median, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    report("key press to new screen, p50 and p95", f"{median:.0f} and {p95:.0f} ms", "p95 100 ms")


def stall(bench: Bench) -> None:
    """Measure the steps/s while nobody reads the terminal, relative to before and after."""
    terminal = bench.start_training()
    terminal.read(20)
    start = time.time()
    time.sleep(30)
    end = time.time()
    terminal.read(20)
    terminal.end()

    def step_rate(first: float, last: float) -> float:
        logged = [
            event
            for event in bench.latest_events()
            if isinstance(event, StepsFinished) and first <= event.time <= last
        ]
        return sum(event.steps for event in logged) / sum(event.seconds for event in logged)

    baseline = statistics.mean([step_rate(start - 20, start), step_rate(end, end + 20)])
    ratio = step_rate(start, end) / baseline
    report("steps/s with the terminal stalled for 30 s", f"{ratio:.3f} of baseline", "1.0")


def paint(bench: Bench) -> None:
    """Measure the time from the command to the first screen, five times."""
    times = []
    for _ in range(5):
        terminal = Pty("run", "digits", "--epochs", ENDLESS, cwd=bench.directory)
        times.append(terminal.wait_for("Loss by epoch"))
        terminal.wait_for("img/s")
        terminal.end()
    report("first paint, median of 5", f"{statistics.median(times):.2f} s", "0.5 s")


def long_log(bench: Bench) -> None:
    """Measure the time to load a run of 60,000 step events, and the memory of the viewer."""
    run = create_run(bench.directory / "runs")
    with run.events.open("w") as log:
        log.writelines(to_line(event) + "\n" for event in long_run(60_000))
    viewer = Pty("watch", run.id, cwd=bench.directory)
    first_paint = viewer.wait_for("Loss by epoch")
    loaded = viewer.wait_for("Epoch 600/600")
    viewer.read(2)
    memory = viewer.megabytes()
    viewer.press("q")
    viewer.join()
    report("60,000 step events loaded after first paint", f"{loaded:.2f} s", "1 s")
    report("first paint of watch", f"{first_paint:.2f} s", "0.5 s")
    report("memory of its viewer and supervisor", f"{memory:.0f} MB", "80 MB")


def long_run(count: int) -> list[Event]:
    """Return the events of a run of 600 epochs with `count` step events."""
    steps_per_epoch = count // 600
    logged: list[Event] = [
        events.RunStarted(
            run_id="long",
            name="",
            preset="cifar10",
            config={"train": {"epochs": 600, "batch_size": 64, "seed": 0}},
            pid=1,
            host="elsewhere",
            version="0",
        ),
        events.RunPrepared(
            classes=tuple("abcdefghij"),
            source="a benchmark",
            image_shape=(3, 32, 32),
            train_images=64 * steps_per_epoch,
            val_images=1000,
            test_images=1000,
            steps_per_epoch=steps_per_epoch,
            parameters=1,
            device="cpu",
            device_name="cpu",
            threads=2,
            precision="fp32",
        ),
    ]
    for epoch in range(1, 601):
        logged.append(events.EpochStarted(epoch=epoch))
        for step in range(1, steps_per_epoch + 1):
            loss = 0.5 + 2 / epoch + 0.1 * random.random()  # noqa: S311 - not for security
            logged.append(
                StepsFinished(
                    epoch=epoch,
                    step=step,
                    steps=1,
                    loss=loss,
                    loss_min=loss - 0.1,
                    loss_max=loss + 0.1,
                    lr=0.001,
                    seconds=0.5,
                    images=64,
                )
            )
        logged.append(
            EpochFinished(
                epoch=epoch,
                train_loss=0.5 + 2 / epoch,
                train_accuracy=0.7,
                val_loss=0.6 + 2 / epoch,
                correct=(70,) * 10,
                total=(100,) * 10,
                train_seconds=60.0,
                val_seconds=5.0,
            )
        )
    return logged


def metrics(bench: Bench) -> None:
    """Measure the Metrics view with a hundred series and a million points, and while they grow."""
    run = create_run(bench.directory / "runs")
    with run.events.open("w") as log:
        log.writelines(to_line(event) + "\n" for event in run_with_series(100, 10_000))
    start, state = time.process_time(), RunState()
    for event in LogReader(run.events).poll():
        state.apply(event)
    read_seconds = time.process_time() - start
    viewer = Pty("watch", run.id, cwd=bench.directory)
    viewer.wait_for("Loss by epoch")
    loaded = viewer.wait_for("Epoch 100/")
    viewer.read(2)
    viewer.press("6")
    opened = viewer.wait_for("100 charts")
    viewer.read(3)
    count = 0
    for number in range(40):
        with run.events.open("a") as log:
            log.write(to_line(logged_values(100, 10_001 + number)) + "\n")
        count += viewer.read(0.5)
    memory = viewer.megabytes()
    viewer.press("q")
    viewer.join()
    report("100 series, 1,000,000 points read", f"{read_seconds:.2f} s of CPU", "1 s")
    report("the same loaded after first paint", f"{loaded:.2f} s", "2 s")
    report("Metrics view opened", f"{opened:.2f} s", "1 s")
    report("bytes to the terminal while they grow", f"{count / 20:,.0f} B/s", "2,000 B/s")
    report("memory of its viewer and supervisor", f"{memory:.0f} MB", "100 MB")


def run_with_series(series: int, count: int) -> Iterator[Event]:
    """Yield the events of another loop's run of 200 epochs, so far with `count` values each."""
    yield events.RunStarted(
        run_id="series", name="", preset="", config={}, pid=1, host="elsewhere", version="0"
    )
    yield events.LoopDescribed(epochs=200, steps_per_epoch=1000)
    for number in range(1, count + 1):
        epoch, step = (10 * number - 1) // 1000 + 1, (10 * number - 1) % 1000 + 1
        loss = 0.5 + 2 / epoch
        yield StepsFinished(
            epoch=epoch,
            step=step,
            steps=10,
            loss=loss,
            loss_min=loss - 0.1,
            loss_max=loss + 0.1,
            lr=0.001,
            seconds=0.5,
            images=0,
        )
        yield logged_values(series, number)


def logged_values(series: int, number: int) -> Event:
    """Return the values of ten steps of the series, of which each has a range."""
    values = {}
    for index in range(series):
        mean = index + 10 / (1 + number / 500) + random.gauss(0, 0.1)
        values[f"group{index // 10}/value{index}"] = (mean, mean - 0.2, mean + 0.2, mean)
    step = 10 * number
    return events.ScalarsLogged(step=step, epoch=(step - 1) // 1000 + 1, values=values)


BENCHES: dict[str, Callable[[Bench], None]] = {
    "paint": paint,
    "log": long_log,
    "metrics": metrics,
    "bytes": bytes_written,
    "keys": keys,
    "stall": stall,
    "processor": processor,
    "overhead": overhead,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", default="digits")
    parser.add_argument("--data-dir")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", default=",".join(BENCHES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(options, Path(name))
        for benchmark in options.only.split(","):
            BENCHES[benchmark](bench)
