"""Run directories made from the golden logs."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cnn_engine.results.feature_maps import MAPS_FILE
from cnn_engine.results.model_layers import LAYERS_FILE
from cnn_engine.runlog.events import Event, RunStarted
from cnn_engine.runlog.lines import from_line, to_line
from cnn_engine.runs.directory import RunDirectory

DATA = Path(__file__).parent / "data"

NOW = 1795510845.0
"""Time shortly after the last event of the completed run."""


def golden_lines(name: str) -> list[str]:
    """Return the lines of a golden log."""
    return (DATA / f"{name}.jsonl").read_text().splitlines()


def golden_run(runs_dir: Path, name: str, run_id: str = "1124-0412-amber") -> RunDirectory:
    """Create a run directory with a golden log."""
    run = RunDirectory(runs_dir / run_id)
    run.path.mkdir(parents=True)
    shutil.copy(DATA / f"{name}.jsonl", run.events)
    return run


def running_run(runs_dir: Path, lines: int, run_id: str = "1124-0412-amber") -> RunDirectory:
    """Create a run directory with the first lines of the completed run's log."""
    run = golden_run(runs_dir, "completed", run_id)
    run.events.write_text("\n".join(golden_lines("completed")[:lines]) + "\n")
    return run


def rewrite_events(run: RunDirectory, change: Callable[[Event], Event]) -> RunDirectory:
    """Rewrite a run's log with every event passed through `change`, and return the run."""
    lines = [to_line(change(from_line(line))) for line in run.events.read_text().splitlines()]
    run.events.write_text("\n".join(lines) + "\n")
    return run


def set_local_host(run: RunDirectory) -> RunDirectory:
    """Rewrite a run's log as if this machine had started it, and return the run."""

    def change(event: Event) -> Event:
        if isinstance(event, RunStarted):
            return replace(event, host=os.uname().nodename)
        return event

    return rewrite_events(run, change)


def add_maps(run: RunDirectory) -> RunDirectory:
    """Add the layers and feature maps of a smaller network to a run, and return it."""
    for name in (LAYERS_FILE, MAPS_FILE):
        shutil.copy(DATA / name, run.path / name)
    return run


def add_events(run: RunDirectory, *events: Event) -> RunDirectory:
    """Append events to a run's log, and return the run."""
    with run.events.open("a") as log:
        log.writelines(to_line(event) + "\n" for event in events)
    return run


def saved_screen(name: str) -> str:
    """Return the text of a saved screen, without the last line break."""
    return (DATA / "screens" / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")
