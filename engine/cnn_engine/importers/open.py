"""Finds the log that a path means."""

import os
import re
from pathlib import Path

from cnn_engine.errors import ConfigError, DataError
from cnn_engine.importers.event_files import EventFiles
from cnn_engine.importers.event_folders import runs_below
from cnn_engine.importers.source import Source
from cnn_engine.importers.table import Downloads, Table, is_download
from cnn_engine.runs.hints import command_in
from cnn_engine.texts import listed

TABLE_NAMES = (
    "metrics.csv",  # PyTorch Lightning
    "results.csv",  # Ultralytics
    "history.csv",  # fastai
    "summary.csv",  # timm
    "log.csv",
    "training.csv",
    "training_log.csv",
    "metrics.tsv",
    "trainer_state.json",  # Hugging Face
    "history.json",
    "metrics.json",
    "metrics.jsonl",
    "log.jsonl",
    "log.txt",
)
"""File names of logs in a directory, the first found is taken."""

CHECKPOINT = re.compile(r"checkpoint-(\d+)")
"""Directory of Hugging Face's Trainer, with the log up to its step."""

MAX_NAMED = 10
"""Maximum number of runs named in a message."""


def open_source(path: Path, runs_dir: Path | None = None) -> Source:
    """Open a directory, a TensorBoard event file, or a CSV or JSON file.

    Args:
        path: The directory or file.
        runs_dir: Directory of the runs, for suggested commands; None for the default.

    Raises:
        ConfigError: the path does not exist.
        DataError: the format is not supported, or a directory holds no run or several.
    """
    try:
        if path.is_dir():
            return _in_directory(path, runs_dir)
        if not path.exists():
            raise ConfigError(f"{path}: there is no such file or directory")
        if not path.is_file():
            raise DataError(f"{path}: is not a regular file")
        return EventFiles(path) if "tfevents" in path.name else Table(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _in_directory(directory: Path, runs_dir: Path | None) -> Source:
    if runs := runs_below(directory):
        run = directory if directory in runs else _the_only(directory, runs, runs_dir)
        return EventFiles(run, others=[other for other in runs if other != run])
    if table := _known_table(directory):
        return Table(table)
    if any(map(is_download, directory.iterdir())):
        return Downloads(directory)
    if tables := sorted(file for file in directory.glob("*.csv") if file.is_file()):
        return Table(_the_only(directory, tables, runs_dir))
    tables = _tables_below(directory)
    if tables and all(map(_checkpoint_step, tables)):
        return Table(max(tables, key=_checkpoint_step))
    if tables:
        return Table(_the_only(directory, tables, runs_dir))
    raise DataError(
        f"{directory}: contains no TensorBoard event files (*tfevents*) and no log such as "
        "metrics.csv, results.csv or trainer_state.json"
    )


def _known_table(directory: Path) -> Path | None:
    tables = (directory / name for name in TABLE_NAMES)
    return next((table for table in tables if table.is_file()), None)


def _tables_below(directory: Path) -> list[Path]:
    """Return the logs with known names below a directory."""
    below = (
        Path(folder) for folder, _, files in os.walk(directory) if set(files) & set(TABLE_NAMES)
    )
    return [table for folder in sorted(below) if (table := _known_table(folder))]


def _the_only(directory: Path, found: list[Path], runs_dir: Path | None) -> Path:
    """Return the only one found.

    Raises:
        DataError: there are several.
    """
    if len(found) == 1:
        return found[0]
    commands = [command_in(runs_dir, "import", str(path)) for path in found]
    raise DataError(
        f"{directory}: contains {len(found)} runs; import one of them: "
        f"{listed(commands, MAX_NAMED)}"
    )


def _checkpoint_step(table: Path) -> int:
    """Return the step of Hugging Face's checkpoint whose log this is; 0 for other logs."""
    match = CHECKPOINT.fullmatch(table.parent.name)
    return int(match[1]) if match else 0
