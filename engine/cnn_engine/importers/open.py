"""Finds the log that a path means."""

import math
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

HUGGING_FACE = "trainer_state.json"

TABLE_NAMES = (
    "metrics.csv",  # PyTorch Lightning
    "results.csv",  # Ultralytics
    "history.csv",  # fastai
    "summary.csv",  # timm
    "log.csv",
    "training.csv",
    "training_log.csv",
    "metrics.tsv",
    HUGGING_FACE,
    "history.json",
    "metrics.json",
    "metrics.jsonl",
    "log.jsonl",
    "log.txt",
)
"""File names of logs in a directory, the first found is taken."""

CHECKPOINT = re.compile(r"checkpoint-(\d+)")
"""Directory of Hugging Face's Trainer, with the log up to its step."""

LOSS_OR_ACCURACY = re.compile(rb"loss|acc|top[_-]?1|Value", re.IGNORECASE)

BEGINNING = 1 << 16
"""Bytes of a file that are searched for a loss or an accuracy."""

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
    runs = runs_below(directory)
    if directory in runs:
        return _event_files(directory, runs)
    if not runs:
        if table := _known_table(directory):
            return Table(table)
        if any(map(is_download, directory.iterdir())):
            return Downloads(directory)
    tables = [*_tables_in(directory), *_tables_below(directory)]
    if runs:
        tables = list(filter(_seems_a_log, tables))
    found = [*runs, *(table for table in tables if not _has_events(table, directory, runs))]
    found = found or sorted(file for file in directory.glob("*.csv") if file.is_file())
    if not found:
        raise DataError(
            f"{directory}: contains no TensorBoard event files (*tfevents*) and no log such as "
            "metrics.csv, results.csv or trainer_state.json"
        )
    log = _the_only(directory, found, runs_dir)
    return _event_files(log, runs) if log in runs else Table(log)


def _event_files(run: Path, runs: list[Path]) -> EventFiles:
    return EventFiles(run, others=[other for other in runs if other != run])


def _tables_in(directory: Path) -> list[Path]:
    """Return the log with a known name in a directory, and the CSV files that seem to be logs."""
    files = {*filter(_seems_a_log, directory.glob("*.csv"))}
    return sorted(files | ({known} if (known := _known_table(directory)) else set()))


def _seems_a_log(file: Path) -> bool:
    """Return True if a file begins with the name of a loss or an accuracy."""
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return LOSS_OR_ACCURACY.search(opened.read(BEGINNING)) is not None


def _has_events(table: Path, directory: Path, runs: list[Path]) -> bool:
    """Return True if the training that wrote a table wrote event files too."""
    home = _home(table)
    is_above = home != directory or table.name == HUGGING_FACE
    return any(home.is_relative_to(run) or (is_above and run.is_relative_to(home)) for run in runs)


def _known_table(directory: Path) -> Path | None:
    tables = (directory / name for name in TABLE_NAMES)
    return next((table for table in tables if table.is_file()), None)


def _tables_below(directory: Path) -> list[Path]:
    """Return the logs with known names below a directory, of checkpoints the latest."""
    tables: dict[Path, Path] = {}
    for folder, folders, files in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if Path(folder) == directory or not set(files) & set(TABLE_NAMES):
            continue
        if table := _known_table(Path(folder)):
            home = _home(table)
            tables[home] = max(table, tables.get(home, table), key=_checkpoint_step)
    return sorted(tables.values())


def _home(table: Path) -> Path:
    """Return the directory of the training that wrote a table."""
    is_checkpoint = CHECKPOINT.fullmatch(table.parent.name)
    return table.parent.parent if is_checkpoint else table.parent


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


def _checkpoint_step(table: Path) -> float:
    """Return the step of Hugging Face's checkpoint whose log this is; infinity for other logs."""
    match = CHECKPOINT.fullmatch(table.parent.name)
    return int(match[1]) if match else math.inf
