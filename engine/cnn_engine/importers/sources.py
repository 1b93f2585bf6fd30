"""Series of values read from other programs' logs: TensorBoard event files and CSV files."""

import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cnn_engine.errors import ConfigError, DataError
from cnn_engine.importers.roles import TEST, TRAINING, VALIDATION, words_of
from cnn_engine.runlog.log import LineReader
from cnn_engine.storage.tfevents import DamagedFileError, RecordReader, Scalar, read_scalars

STEP_NAMES = ("step", "global_step", "iteration", "iter", "batch")
EPOCH_NAMES = ("epoch", "epochs")
TIME_NAMES = ("time", "wall_time", "timestamp", "date")
MAX_LINE_LENGTH = 1 << 20
MIN_UNIX_TIME = 1e9
"""Smaller numbers are not Unix times, but, e.g., seconds since the start."""


class Source(Protocol):
    """A log of another program."""

    path: Path

    @property
    def damaged(self) -> int:
        """Number of damaged parts so far."""
        ...

    def poll(self) -> Iterator[Scalar]:
        """Yield the values added since the last call.

        Raises:
            OSError: it cannot be read at the moment.
        """
        ...


def open_source(path: Path) -> Source:
    """Open a directory of event files, a single event file, or a CSV.

    Raises:
        ConfigError: the path does not exist.
        DataError: the format is not supported.
    """
    try:
        if path.is_dir():
            _check_single_run(path)
            return EventFiles(path)
        if not path.exists():
            raise ConfigError(f"{path}: there is no such file or directory")
        if not path.is_file():
            raise DataError(f"{path}: is not a regular file")
        if "tfevents" in path.name:
            return EventFiles(path)
        return Table(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _check_single_run(directory: Path) -> None:
    """Check that all event files belong to one run.

    Raises:
        DataError: there is none, or more than one run.
    """
    folders = {file.parent for file in directory.rglob("*tfevents*")}
    if not folders:
        raise DataError(f"{directory}: contains no TensorBoard event files (*tfevents*)")
    splits = VALIDATION | TEST | TRAINING
    runs = {
        folder.parent if words_of(folder.name) & splits and folder != directory else folder
        for folder in folders
    }
    if len(runs) > 1:
        names = ", ".join(sorted(str(run) for run in runs)[:5])
        raise DataError(f"{directory}: contains {len(runs)} runs; import one of them: {names}")


class EventFiles:
    """Event files in and below a directory, or a single one.

    A series is named by its directory and its tag, because TensorFlow writes the same tag, such as
    `epoch_loss`, in `train` and in `validation`. A damaged file is not read further.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._readers: dict[Path, RecordReader] = {}
        self._damaged: set[Path] = set()

    @property
    def damaged(self) -> int:
        """Number of damaged files."""
        return len(self._damaged)

    def poll(self) -> Iterator[Scalar]:
        """Yield the values added since the last call, file by file.

        Raises:
            OSError: a file cannot be read at the moment.
        """
        files = sorted(self.path.rglob("*tfevents*")) if self.path.is_dir() else [self.path]
        for file in files:
            if file not in self._damaged and file.is_file():
                yield from self._read_new(file)

    def _read_new(self, file: Path) -> Iterator[Scalar]:
        reader = self._readers.setdefault(file, RecordReader())
        folder = file.parent.relative_to(self.path).as_posix() if self.path.is_dir() else "."
        try:
            with file.open("rb") as content:
                for message in reader.poll(content):
                    for scalar in read_scalars(message):
                        tag = scalar.tag if folder == "." else f"{folder}/{scalar.tag}"
                        yield scalar._replace(tag=tag)
        except DamagedFileError:
            self._damaged.add(file)


class Table:
    """CSV file with a header: one series per column, one step or epoch per line.

    Without a step or epoch column, lines are counted. Cells that are empty or not numbers are
    skipped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = LineReader(path)
        self._names: list[str] = []
        self._delimiter = ","
        self._row = 0
        self.damaged = 0
        """Number of lines with too many or too few cells."""

    def poll(self) -> Iterator[Scalar]:
        """Yield the values added since the last call.

        Raises:
            DataError: it is not a CSV file with column names.
            OSError: it cannot be read at the moment.
        """
        for line in self._lines.poll():
            text = line.decode("utf-8-sig", "replace").rstrip("\r")
            if not text.strip():
                continue
            if self._names:
                yield from self._values(text)
            else:
                self._read_names(text)

    def _read_names(self, text: str) -> None:
        if len(text) > MAX_LINE_LENGTH or "\0" in text:
            raise DataError(f"{self.path}: is not a CSV file")
        self._delimiter = max(",;\t", key=text.count)
        names = [name.strip() for name in self._cells(text)]
        if all(_number(name) is not None for name in names):
            raise DataError(
                f"{self.path}: its first line must name the columns, such as epoch,loss,val_loss"
            )
        self._names = names

    def _cells(self, text: str) -> list[str]:
        return next(csv.reader([text], delimiter=self._delimiter), [])

    def _values(self, text: str) -> Iterator[Scalar]:
        self._row += 1
        try:
            cells = self._cells(text)
        except csv.Error:
            cells = []
        if len(cells) != len(self._names):
            self.damaged += 1
            return
        row = dict(zip(self._names, map(_number, cells), strict=True))
        lower = {name.lower(): value for name, value in row.items()}
        step = _first(lower, (*STEP_NAMES, *EPOCH_NAMES))
        moment = _first(lower, TIME_NAMES)
        if moment is None or not MIN_UNIX_TIME < moment < 1e11:
            moment = time.time()
        for name, value in row.items():
            if value is not None and name.lower() not in _INDEX_NAMES:
                index = self._row if step is None or not math.isfinite(step) else int(step)
                yield Scalar(name, index, moment, value)


_INDEX_NAMES = frozenset({*STEP_NAMES, *EPOCH_NAMES, *TIME_NAMES})
"""Columns that are not series."""


def _first(row: dict[str, float | None], names: tuple[str, ...]) -> float | None:
    return next((value for name in names if (value := row.get(name)) is not None), None)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
