"""Series in a CSV, TSV or JSON file: one per column, a row per step or epoch."""

import math
import re
import time
from array import array
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias

from cnn_engine.importers.cells import Number, are_unix_times, moment, number
from cnn_engine.importers.roles import SPLITS, roles_of, words_of
from cnn_engine.importers.rows import TENSORBOARD_COLUMNS, Row, RowReader
from cnn_engine.importers.series import MAX_STEP, Series
from cnn_engine.importers.source import Report, no_report

STEP_NAMES = frozenset(
    "step steps global_step _step trainer_global_step iteration iterations iter it batch batch_idx"
    " n_iter".split()
)
EPOCH_NAMES = frozenset({"epoch", "epochs", "_epoch", "trainer_epoch"})
TIME_NAMES = frozenset("time wall_time walltime timestamp _timestamp date datetime".split())
SPLIT_NAMES = frozenset("phase split mode stage subset set dataset".split())
"""Columns that may say whether a row is of training or validation."""

ROWS_PER_EPOCH = 1.5
"""With more rows per epoch on average, a row is not an epoch."""

DOWNLOADED = re.compile(r"run-(?P<run>.*?)-tag-(?P<tag>.+)")
"""File name of a series that was downloaded from TensorBoard."""


class Table:
    """A file of rows. Cells that are empty or not numbers are skipped.

    Programs append to it or write it anew, as PyTorch Lightning does when a column is added.
    Therefore it is read from its start whenever it has changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stat: tuple[int, int, int] | None = None
        self._is_whole = False
        """True if a last line without a newline was read, too."""
        self._columns = _Columns()
        self._read_at: list[float] = []
        """Time at which each row was read first; for rows without a time."""
        self._modified_at = 0.0, 0
        """Time of the file's last change when it was read first, and its rows then."""

    def poll(self, *, ended: bool = False, report: Report = no_report) -> bool:
        """Read the file if it has changed.

        Raises:
            DataError: it is not a table.
            OSError: it cannot be read at the moment.
        """
        stat = self.path.stat()
        identity = stat.st_ino, stat.st_size, stat.st_mtime_ns
        if identity == self._stat and (self._is_whole or not ended):
            return False
        columns, reader = _Columns(), RowReader(self.path)
        for row in reader.read(whole=ended):
            columns.add(self._named(row))
            if columns.rows % 1000 == 0:
                report(f"reading {self.path.name}, rows", columns.rows, 0)
        columns.malformed = reader.malformed
        self._columns, self._stat, self._is_whole = columns, identity, ended
        if not self._read_at:
            self._modified_at = stat.st_mtime, columns.rows
        self._read_at += [time.time()] * max(0, columns.rows - len(self._read_at))
        return True

    def series(self) -> dict[str, Series]:
        """Return the series by column."""
        return self._columns.series(self._read_at, self._modified_at)

    @property
    def steps_are_epochs(self) -> bool:
        """True if a row is an epoch."""
        return self._columns.steps_are_epochs

    def notices(self) -> list[str]:
        """Return nothing: see `Source`."""
        return []

    def problems(self) -> list[str]:
        """Return the number of rows that were left out."""
        rows = self._columns.malformed
        if not rows:
            return []
        return [
            f"{rows} {'row has' if rows == 1 else 'rows have'} more or fewer cells than the header "
            f"of {self.path.name} and {'is' if rows == 1 else 'are'} left out"
        ]

    def _named(self, row: Row) -> Row:
        """Return the row; a downloaded series is named by its tag, which the file name holds."""
        if tuple(map(str.lower, row)) != tuple(map(str.lower, TENSORBOARD_COLUMNS)):
            return row
        stem = self.path.stem
        match = DOWNLOADED.match(stem)
        name = f"{match['run']}/{match['tag']}" if match else stem
        if not match and not roles_of([stem]).assigned:
            name = "Value (loss)"
        return dict(zip((*TENSORBOARD_COLUMNS[:2], name), row.values(), strict=True))


def is_download(path: Path) -> bool:
    """Return True if the name is that of a series downloaded from TensorBoard."""
    return path.suffix in (".csv", ".json") and DOWNLOADED.fullmatch(path.stem) is not None


class Downloads:
    """A directory of series downloaded from TensorBoard, each in a file of its own."""

    steps_are_epochs = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tables: dict[Path, Table] = {}

    def poll(self, *, ended: bool = False, report: Report = no_report) -> bool:
        """Read the files that have changed.

        Raises:
            DataError: one is not a table.
            OSError: one cannot be read at the moment.
        """
        paths = sorted(filter(is_download, self.path.iterdir()))
        self._tables = {path: self._tables.get(path) or Table(path) for path in paths}
        changed = [table.poll(ended=ended, report=report) for table in self._tables.values()]
        return any(changed)

    def series(self) -> dict[str, Series]:
        """Return the series by run and tag."""
        tables = self._tables.values()
        return {name: series for table in tables for name, series in table.series().items()}

    def notices(self) -> list[str]:
        """Return nothing: see `Source`."""
        return []

    def problems(self) -> list[str]:
        """Return the number of rows that were left out, by file."""
        return [problem for table in self._tables.values() for problem in table.problems()]


Kind: TypeAlias = Literal["step", "epoch", "time", "split", "series"]
"""Meaning of a column."""


def _kind_of(name: str) -> Kind:
    key = re.sub(r"[^a-z0-9]+", "_", name.lower()).rstrip("_")
    kinds: dict[Kind, frozenset[str]] = {
        "step": STEP_NAMES,
        "epoch": EPOCH_NAMES,
        "time": TIME_NAMES,
        "split": SPLIT_NAMES,
    }
    return next((kind for kind, names in kinds.items() if key in names), "series")


@dataclass
class _Index:
    """Position of a row."""

    step: float = math.nan
    epoch: float = math.nan
    time: float | None = None


class _Column:
    """The numbers of a column, and their rows."""

    def __init__(self) -> None:
        self.rows = array("q")
        self.values = array("d")
        self.has_percent_sign = False

    def add(self, row: int, found: Number) -> None:
        """Add a number."""
        self.rows.append(row)
        self.values.append(found.value)
        self.has_percent_sign |= found.is_percent


class _Columns:
    """The numbers of a table by column, and steps, epochs and times by row."""

    def __init__(self) -> None:
        self.rows = 0
        self.malformed = 0
        self._steps = array("d")
        self._epochs = array("d")
        self._times: list[float | None] = []
        self._values: dict[str, _Column] = {}
        self._kinds: dict[str, Kind] = {}

    def add(self, row: Row) -> None:
        """Add a row."""
        index = _Index()
        prefix = ""
        numbers: list[tuple[str, Number]] = []
        for name, cell in row.items():
            if not cell or not name:
                continue
            kind = self._kinds.get(name) or self._kinds.setdefault(name, _kind_of(name))
            if kind == "time":
                index.time = moment(cell) if index.time is None else index.time
            elif kind == "split" and SPLITS.intersection(words_of(cell)):
                prefix = f"{cell}/"
            elif found := number(cell):
                if kind == "series":
                    numbers.append((name, found))
                elif kind != "split":
                    setattr(index, kind, found.value)
        for name, found in numbers:
            self._column(prefix + name).add(self.rows, found)
        self.rows += 1
        self._steps.append(index.step)
        self._epochs.append(index.epoch)
        self._times.append(index.time)

    def _column(self, name: str) -> "_Column":
        return self._values.get(name) or self._values.setdefault(name, _Column())

    @property
    def steps_are_epochs(self) -> bool:
        """True if rows have an epoch and no step, and are not parts of an epoch."""
        if not all(map(math.isnan, self._steps)):
            return False
        epochs = [epoch for epoch in self._epochs if not math.isnan(epoch)]
        if not epochs or not all(map(float.is_integer, epochs)):
            return False
        repeats = max(map(self._repeats, self._values), default=0)
        return repeats <= (ROWS_PER_EPOCH - 1) * len(set(epochs))

    def _repeats(self, name: str) -> int:
        """Return the number of values of a column that are of the same epoch as the one before."""
        epochs = [self._epochs[row] for row in self._values[name].rows]
        return sum(first == second for first, second in pairwise(epochs))

    def series(self, read_at: list[float], modified_at: tuple[float, int]) -> dict[str, Series]:
        """Return the series by column.

        Args:
            read_at: Times for rows without one.
            modified_at: Time of a number of rows, if their times count from the start.
        """
        steps = self._row_steps()
        times = self._row_times(modified_at)
        found = {}
        for name, column in self._values.items():
            found[name] = series = Series()
            series.has_percent_sign = column.has_percent_sign
            for row, value in zip(column.rows, column.values, strict=True):
                if (step := steps[row]) is None:
                    continue
                if times:
                    series.add(step, times[row], value)
                else:
                    series.add(step, read_at[row], value, row)
        return found

    def _row_steps(self) -> list[int | None]:
        """Return the step of each row; None if it is not a possible one."""
        if self.steps_are_epochs:
            return [_integer(epoch) for epoch in _filled(self._epochs)]
        if all(map(math.isnan, self._steps)):
            return list(range(1, self.rows + 1))
        return [_integer(step) for step in _from_start(_filled(self._steps), self._epochs)]

    def _row_times(self, modified_at: tuple[float, int]) -> list[float] | None:
        """Return the time of each row; None if they are not known."""
        known = [row_time for row_time in self._times if row_time is not None]
        if not known or len(known) < self.rows or not all(map(math.isfinite, known)):
            return None
        if are_unix_times(known):
            return known
        if any(first > second for first, second in pairwise(known)):
            return None  # durations of epochs, for instance
        modified, rows = modified_at
        start = modified - known[min(rows, self.rows) - 1]
        return [start + row_time for row_time in known]


def _filled(column: "array[float]") -> list[float]:
    """Return the column; missing values are those of the row before."""
    filled, last = [], 0.0
    for value in column:
        last = last if math.isnan(value) else value
        filled.append(last)
    return filled


def _from_start(steps: list[float], epochs: "array[float]") -> list[float]:
    """Return steps since the start of training, also if they are counted anew in each epoch."""
    if not _are_counted_anew(steps, epochs):
        return steps
    begins, first, gap, highest = {epochs[0]: 0.0}, min(steps), 0.0, steps[0]
    counted = [highest]
    for row in range(1, len(steps)):
        step, epoch, earlier = steps[row], epochs[row], epochs[row - 1]
        if epoch == earlier:
            gap = step - highest if step > highest else gap
            # The step of a validation may count its own batches.
            highest = max(highest, step)
        else:
            if epoch not in begins:
                length = highest + gap - first if gap else max(1.0, highest)  # else a row each
                begins[epoch] = begins.get(earlier, 0.0) + length
            highest = step
        counted.append(begins.get(epoch, 0.0) + highest)
    return counted


def _are_counted_anew(steps: list[float], epochs: "array[float]") -> bool:
    """Return True if no epoch begins at a greater step than those of the epoch before."""
    highest, has_epochs = -math.inf, False
    for row, step in enumerate(steps):
        if row and epochs[row] > epochs[row - 1]:
            if step > highest:
                return False
            has_epochs, highest = True, step
        highest = max(highest, step)
    return has_epochs


def _integer(step: float) -> int | None:
    return int(step) if abs(step) < MAX_STEP else None
