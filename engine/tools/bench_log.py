"""Measures time and memory to read a log into a run's state.

    python engine/tools/bench_log.py

Writes logs of 60,000, 166,667 and 1,000,000 step events, which runs of eight hours, one day and six
days record at two events per second, and reads each in a new process.
"""

import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cnn_engine.runlog import events
from cnn_engine.runlog.lines import to_line
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state

EVENTS = (60_000, 166_667, 1_000_000)
"""Step events of the logs."""

EVENTS_PER_EPOCH = 100
STEPS_PER_EVENT = 6


def main() -> None:
    """Print a line for each log."""
    if len(sys.argv) == 3:
        print_result(RunDirectory(Path(sys.argv[1])), int(sys.argv[2]))
        return
    for count in EVENTS:
        with tempfile.TemporaryDirectory() as directory:
            run = RunDirectory(Path(directory))
            with run.events.open("w") as log:
                log.writelines(to_line(event) + "\n" for event in generate_events(count))
            command = [sys.executable, __file__, directory, str(count)]
            subprocess.run(command, check=True)  # noqa: S603


def print_result(run: RunDirectory, count: int) -> None:
    """Read the log; print time and memory."""
    before = _peak_mb()
    start = time.perf_counter()
    state, damaged = read_state(run)
    seconds = time.perf_counter() - start
    peak = _peak_mb()
    print(
        f"{count:>9,} step events of {state.steps_done:,} steps, "
        f"{run.events.stat().st_size / 1e6:.0f} MB: "
        f"read in {seconds:.2f} s, {1e6 * seconds / count:.1f} µs per event; "
        f"peak {peak:.0f} MB, {peak - before:.0f} MB more than before; {damaged} damaged lines"
    )


def generate_events(count: int) -> Iterator[events.Event]:
    """Yield the events of a run with about `count` step events."""
    epochs = math.ceil(count / EVENTS_PER_EPOCH)
    yield events.RunStarted(
        run_id="1124-0412-amber",
        name="",
        preset="cifar10",
        config={"train": {"epochs": epochs}},
        pid=1,
        host="here",
        version="0",
    )
    yield events.RunPrepared(
        classes=tuple("0123456789"),
        source="a benchmark",
        image_shape=(3, 32, 32),
        train_images=384 * EVENTS_PER_EPOCH,
        val_images=10_000,
        test_images=10_000,
        steps_per_epoch=STEPS_PER_EVENT * EVENTS_PER_EPOCH,
        parameters=651_850,
        device="cpu",
        device_name="cpu",
        threads=2,
        precision="bf16",
    )
    for epoch in range(1, epochs + 1):
        yield from _epoch(epoch)


def _epoch(epoch: int) -> Iterator[events.Event]:
    yield events.EpochStarted(epoch=epoch)
    for number in range(1, EVENTS_PER_EPOCH + 1):
        loss = 0.1 + 2 / (epoch + number / EVENTS_PER_EPOCH)
        yield events.StepsFinished(
            epoch=epoch,
            step=STEPS_PER_EVENT * number,
            steps=STEPS_PER_EVENT,
            loss=loss,
            loss_min=loss / 1.1,
            loss_max=loss * 1.1,
            lr=0.001,
            seconds=0.5018372619,
            images=384,
            data_seconds=0.0328172619,
            forward_seconds=0.1528372619,
            backward_seconds=0.2518372619,
            optimizer_seconds=0.0418372619,
        )
        if number % 10 == 0:
            yield events.MachineMeasured(
                cpu=0.97,
                memory_bytes=1_200_000_000,
                memory_total_bytes=16_000_000_000,
                memory_available_bytes=9_000_000_000,
                disk_free_bytes=80_000_000_000,
            )
    yield events.EpochFinished(
        epoch=epoch,
        train_loss=0.5,
        train_accuracy=0.8,
        val_loss=0.1 + 1 / epoch,
        correct=(800,) * 10,
        total=(1000,) * 10,
        train_seconds=50.0,
        val_seconds=2.0,
        confusion=tuple((a, b, 22) for a in range(10) for b in range(10) if a != b),
    )
    yield events.CheckpointSaved(reason="last", epoch=epoch, file="last.pt")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 << 20 if sys.platform == "darwin" else 1 << 10
    )


if __name__ == "__main__":
    main()
