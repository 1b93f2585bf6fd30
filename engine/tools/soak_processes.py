"""Kills processes of a run at random moments; torchrun must let it end with nothing lost.

    python engine/tools/soak_processes.py [--kills 10] [--processes 2] [--seed 0]

Trains a small network on the bundled digits. After each kill the run must continue from its last
checkpoint; in the end all epochs must be there, once each, and the final test. Exit code 1 if a
check fails.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import psutil

from cnn_engine.runlog.events import CheckpointSaved, RunResumed
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.summary import read_state
from cnn_engine.session.background import start_processes
from cnn_engine.session.request import Request

SETTINGS = (
    "data.image_size=8",
    "model.filters=[8]",
    "model.hidden=[16]",
    "train.device=cpu",
    "train.checkpoint_seconds=0.5",
)
EPOCHS_PER_KILL = 20

TIMEOUT_SECONDS = 120.0


def main() -> None:
    """Kill, wait, check and print a report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)  # noqa: S311 - not for security
    epochs = arguments.kills * EPOCHS_PER_KILL
    with tempfile.TemporaryDirectory() as directory:
        run = create_run(Path(directory))
        request = Request.from_preset("digits", [*SETTINGS, f"train.epochs={epochs}"])
        start_processes(request, run, arguments.processes)
        lost = 0
        for number in range(1, arguments.kills + 1):
            wait_for_training(run, sessions=number)
            time.sleep(chance.uniform(0, 1.5))
            rank = chance.randrange(arguments.processes)
            kill(run, rank)
            lost += check_resumed(run, sessions=number + 1)
            print(f"kill {number}: process {rank}; the run continues", flush=True)
        give_up = time.monotonic() + TIMEOUT_SECONDS
        while run.is_live("") and time.monotonic() < give_up:
            time.sleep(0.1)
        state, damaged = read_state(run)
        print(f"{state.status}, {len(state.epochs)} epochs, {damaged} damaged lines")
        is_whole = [epoch.epoch for epoch in state.epochs] == [*range(1, epochs + 1)]
        if lost or damaged or state.status != "done" or not is_whole or state.test is None:
            sys.exit("the run is not whole")


def kill(run: RunDirectory, rank: int) -> None:
    """Kill a process of the run."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "-u" in words and str(run.path) in words and process.environ()["RANK"] == str(rank):
            process.kill()
            return
    sys.exit(f"there is no process {rank}")


def wait_for_training(run: RunDirectory, sessions: int) -> None:
    """Wait until a session trains."""
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < give_up:
        events = [*LogReader(run.events).poll()]
        starts = [index for index, event in enumerate(events) if isinstance(event, RunResumed)]
        if len(starts) == sessions and len(events) > starts[-1] + 20:
            return
        time.sleep(0.1)
    sys.exit("the run does not train")


def check_resumed(run: RunDirectory, sessions: int) -> bool:
    """Wait until the next session begins; return True if it is not that of the last checkpoint."""
    wait_for_training(run, sessions)
    saved, resumed = (0, 0), (0, 0)
    for event in LogReader(run.events).poll():
        if isinstance(event, RunResumed):
            if event.file:
                resumed = event.epoch, event.step
            before = saved
        elif isinstance(event, CheckpointSaved) and event.file == "last.pt":
            saved = event.epoch, event.step
    # The first step of an epoch follows the last one of the epoch before.
    is_last = resumed == before or resumed == (before[0] + 1, 0)
    if not is_last:
        print(f"saved at {before}, resumed at {resumed}")
    return not is_last


if __name__ == "__main__":
    main()
