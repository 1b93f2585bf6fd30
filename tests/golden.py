"""Run directories made from the golden logs."""

import shutil
from pathlib import Path

from cnn_engine.runs import RunDirectory

DATA = Path(__file__).parent / "data"


def golden_lines(name: str) -> list[str]:
    """A golden log's lines."""
    return (DATA / f"{name}.jsonl").read_text().splitlines()


def golden_run(runs_dir: Path, name: str, run_id: str = "1124-0412-amber") -> RunDirectory:
    """A run directory with the whole log."""
    run = RunDirectory(runs_dir / run_id)
    run.path.mkdir(parents=True)
    shutil.copy(DATA / f"{name}.jsonl", run.events)
    return run


def running_run(runs_dir: Path, lines: int, run_id: str = "1124-0412-amber") -> RunDirectory:
    """A run directory with the beginning of the completed run's log."""
    run = golden_run(runs_dir, "completed", run_id)
    run.events.write_text("\n".join(golden_lines("completed")[:lines]) + "\n")
    return run
