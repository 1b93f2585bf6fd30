"""Kills training processes at random moments, resumes the runs, and checks that nothing is lost.

    python engine/tools/soak.py [--kills 200] [--seed 0]

A process trains a small network on the bundled digits and saves about ten times a second. It gets
SIGKILL at a random moment; every second kill waits until a file is being written. A finished run
must equal an uninterrupted one bit for bit. Exit code 1 if a check fails.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # this process is forked, so it must not start threads

import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import (
    BEST_FILE,
    LAST_FILE,
    PREVIOUS_FILE,
    Position,
    find_newest,
    read_verified,
)
from cnn_engine.errors import UserError
from cnn_engine.runlog.events import CheckpointSaved, EpochFinished
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_engine.storage.atomic import TEMPORARY

SETTINGS = (
    "data.image_size=8",
    "model.filters=[8]",
    "model.hidden=[16]",
    "train.device=cpu",
    "train.epochs=12",
    "train.checkpoint_seconds=0.1",
)
MAX_SECONDS = 1.0
"""Maximum time until a kill, or until it waits for a file that is being written."""


@dataclass
class Report:
    """Counts so far."""

    kills: int = 0
    while_saving: int = 0
    """Kills while a file was being written."""
    runs: int = 0
    corrupt: list[str] = field(default_factory=list)
    """Problems of damaged files."""
    lost: list[str] = field(default_factory=list)
    """Kills after which a logged checkpoint was missing."""
    unequal: list[str] = field(default_factory=list)
    """Runs whose results differ from those of the uninterrupted run."""

    @property
    def has_passed(self) -> bool:
        """True if nothing was lost or damaged."""
        return not (self.corrupt or self.lost or self.unequal)


def main() -> None:
    """Kill processes and print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    generator, report, start = random.Random(options.seed), Report(), time.monotonic()  # noqa: S311
    with tempfile.TemporaryDirectory() as directory:
        uninterrupted = create_run(Path(directory))
        _wait(_start(uninterrupted))
        while report.kills < options.kills:
            run = create_run(Path(directory))
            _train_with_kills(run, uninterrupted, report, generator, options.kills)
    print(
        f"{report.kills} kills, {report.while_saving} of them while a file was being written, in "
        f"{report.runs} runs and {time.monotonic() - start:.0f} s\n"
        f"damaged files: {len(report.corrupt)}\n"
        f"lost checkpoints: {len(report.lost)}\n"
        f"runs equal to the uninterrupted one: {report.runs - len(report.unequal)} of {report.runs}"
    )
    for text in (*report.corrupt, *report.lost, *report.unequal):
        print(text)
    sys.exit(0 if report.has_passed else 1)


def _train_with_kills(
    run: RunDirectory,
    uninterrupted: RunDirectory,
    report: Report,
    generator: random.Random,
    max_kills: int,
) -> None:
    """Train a run to its end; kill and resume it until `max_kills` is reached."""
    while not read_state(run)[0].has_ended:
        child = _start(run)
        if report.kills >= max_kills:
            _wait(child)
            continue
        is_saving = _wait_for_moment(run, child, generator, in_save=bool(report.kills % 2))
        os.kill(child, signal.SIGKILL)
        if os.WIFSIGNALED(_wait(child)):
            report.kills += 1
            report.while_saving += is_saving
            _check_files(run, report)
    report.runs += 1
    if _results(run) != _results(uninterrupted):
        report.unequal.append(f"{run.id}: results differ from those of the uninterrupted run")


def _start(run: RunDirectory) -> int:
    """Start or resume the run in a new process; return the process id.

    The process is forked, because importing PyTorch takes longer than the training.
    """
    child = os.fork()
    if child:
        return child
    try:
        if read_state(run)[0].started is not None:
            engine = Engine.resume(run)
        else:
            engine = Engine(Request.from_preset("digits", SETTINGS), Recorder(run))
        engine.start()
        engine.join()
        os._exit(engine.exit_code)
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(error.exit_code)


def _wait(child: int) -> int:
    return os.waitpid(child, 0)[1]


def _wait_for_moment(
    run: RunDirectory, child: int, generator: random.Random, *, in_save: bool
) -> bool:
    """Wait for a moment to kill the process; return True if a file is being written then."""
    deadline = time.monotonic() + generator.uniform(0, MAX_SECONDS)
    while time.monotonic() < deadline:
        time.sleep(0.001)
    while in_save and _lives(child):
        if any(run.path.glob(TEMPORARY)):
            time.sleep(generator.uniform(0, 0.002))
            return True
    return False


def _lives(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _check_files(run: RunDirectory, report: Report) -> None:
    """Check log and checkpoints after a kill, and report problems."""
    for file in (BEST_FILE, LAST_FILE, PREVIOUS_FILE):
        path = run.path / file
        try:
            if path.exists():
                read_verified(path)
                checkpoint.load(path, torch.device("cpu"))
        except UserError as error:
            report.corrupt.append(str(error))
    reader = LogReader(run.events)
    recorded = Position(0, 0)
    for event in reader.poll():
        if isinstance(event, CheckpointSaved) and event.file == LAST_FILE:
            recorded = max(recorded, Position(event.epoch, event.step))
    if reader.damaged_lines:
        report.corrupt.append(f"{run.events}: {reader.damaged_lines} lines are damaged")
    found = find_newest(run.path)
    if recorded > (found.position if found else Position(0, 0)):
        report.lost.append(f"{run.id}: the log records {recorded}, found {found}")


def _results(run: RunDirectory) -> object:
    """Return the results of a run, which interruptions must not change."""
    state, _ = read_state(run)
    weights = [
        _plain(checkpoint.load(run.path / file, torch.device("cpu")))
        for file in (BEST_FILE, LAST_FILE)
    ]
    test = state.test
    return (
        state.status,
        [_metrics(epoch) for epoch in state.epochs],
        test and (test.epoch, test.loss, test.correct, test.confusion),
        weights,
    )


def _metrics(epoch: EpochFinished) -> object:
    return epoch.epoch, epoch.train_loss, epoch.val_loss, epoch.correct, epoch.total


def _plain(content: Any) -> object:  # noqa: ANN401 - any content of a checkpoint
    """Return the content with tensors as bytes, and without durations."""
    match content:
        case dict():
            return {key: _plain(item) for key, item in content.items() if key != "train_seconds"}
        case torch.Tensor():
            return content.dtype, content.shape, content.contiguous().numpy().tobytes()
    return content


if __name__ == "__main__":
    main()
