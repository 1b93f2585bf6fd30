"""Run directories made from the golden logs."""

import shutil
from collections.abc import Callable
from pathlib import Path

from cnn_engine.runlog.events import Event
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


def add_events(run: RunDirectory, *events: Event) -> RunDirectory:
    """Append events to a run's log, and return the run."""
    with run.events.open("a") as log:
        log.writelines(to_line(event) + "\n" for event in events)
    return run
