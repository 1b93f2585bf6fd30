"""The numbers of a table by column, and the steps and times of its rows."""

import math
import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import itemgetter
from typing import Literal, TypeAlias

from cnn_engine.importers.cells import Number, are_unix_times, is_missing, moment, number
from cnn_engine.importers.rows import Row
from cnn_engine.importers.series import MAX_STEP, Series
from cnn_engine.runlog.roles import SPLITS, roles_of, words_of

STEP_NAMES = frozenset(
    "step steps global_step _step trainer_global_step train_global_step iteration iterations iter"
    " it batch batch_idx n_iter".split()
)
EPOCH_NAMES = frozenset({"epoch", "epochs", "_epoch", "trainer_epoch", "train_epoch"})
TIME_NAMES = frozenset(
    "time wall_time walltime timestamp _timestamp date datetime runtime _runtime elapsed"
    " elapsed_time seconds relative_time_process relative_time_wall".split()
)
SPLIT_NAMES = frozenset("phase split mode stage subset set dataset".split())
"""Columns that may say whether a row is of training or validation."""

RUN_NAMES = frozenset({"run", "run_id", "run_name", "series_key"})
"""Columns that may name the run of a row."""

BANDS = "__MIN", "__MAX"
"""Ends of the names of columns with extremes, which W&B exports beside each column."""

ROWS_PER_EPOCH = 1.5
"""With more rows per epoch on average, a row is not an epoch."""

MAX_EPOCH_ERROR = 0.05
"""Maximum difference, as a fraction, from a constant number of steps in an epoch."""

MAX_NAMED = 20
"""Maximum number of columns named for cells that are not numbers."""

MAX_RUNS = 5
"""Maximum number of runs named."""

MAX_EXAMPLE = 40
"""Maximum length of such a cell in a message."""

Kind: TypeAlias = Literal["step", "epoch", "time", "split", "run", "series"]
"""Meaning of a column."""


def _kind_of(name: str) -> Kind:
    key = re.sub(r"[^a-z0-9]+", "_", name.lower()).rstrip("_")
    kinds: dict[Kind, frozenset[str]] = {
        "step": STEP_NAMES,
        "epoch": EPOCH_NAMES,
        "time": TIME_NAMES,
        "split": SPLIT_NAMES,
        "run": RUN_NAMES,
    }
    return next((kind for kind, names in kinds.items() if key in names), "series")


@dataclass
class _Index:
    """Position of a row."""

    step: float = math.nan
    epoch: float = math.nan
    time: float | None = None


@dataclass
class _Unreadable:
    """Cells of a column that are not numbers."""

    example: str
    cells: int = 0


class _Column:
    """The numbers of a column, and their rows."""

    def __init__(self) -> None:
        self.rows = array("q")
        self.values = array("d")
        self.has_percent_sign = False
        self._has_decimal_comma = False
        self._thousands = array("q")
        """Positions of numbers such as `1,500`, unless the column has decimal commas."""

    def add(self, row: int, found: Number) -> None:
        """Add a number."""
        if found.comma == "thousands":
            self._thousands.append(len(self.rows))
        self._has_decimal_comma |= found.comma == "decimal"
        self.rows.append(row)
        self.values.append(found.value)
        self.has_percent_sign |= found.is_percent

    def reverse(self, rows: int) -> None:
        """Reverse the order of the values, of a table with a number of rows."""
        last = len(self.rows) - 1
        self._thousands = array("q", (last - position for position in self._thousands))
        self.rows = array("q", (rows - 1 - row for row in reversed(self.rows)))
        self.values.reverse()

    def numbers(self) -> "array[float]":
        """Return the values; with a decimal comma in the column, all commas are decimal ones."""
        values = self.values[:]
        if self._has_decimal_comma:
            for position in self._thousands:
                values[position] /= 1000
        return values


class Columns:
    """The numbers of a table by column, and steps, epochs and times by row."""

    def __init__(self) -> None:
        self.rows = 0
        self._steps = array("d")
        self._epochs = array("d")
        self._times: list[float | None] = []
        self._values: dict[str, _Column] = {}
        self._kinds: dict[str, Kind] = {}
        self._unreadable: dict[str, _Unreadable] = {}
        self.runs: dict[str, set[str]] = {}
        """Names of runs by column, of which `MAX_RUNS` and one more are kept."""

    def add(self, row: Row, *, thousands: bool = False) -> None:
        """Add a row.

        Args:
            row: Cells by column.
            thousands: True if the comma of `1,000` is between thousands in any column.
        """
        index = _Index()
        prefix = ""
        numbers: list[tuple[str, Number]] = []
        for name, cell in row.items():
            if not cell or not name:
                continue
            kind = self._kinds.get(name) or self._kinds.setdefault(name, _kind_of(name))
            if kind == "time":
                index.time = _better_time(index.time, moment(cell))
            elif kind == "split" and SPLITS.intersection(words_of(cell)):
                prefix = f"{cell}/"
            elif found := number(cell, thousands=thousands or kind in ("step", "epoch")):
                if kind in ("series", "run"):
                    numbers.append((name, found))
                elif kind != "split":
                    setattr(index, kind, found.value)
            elif kind != "split" and not is_missing(cell):
                self._add_text(name, cell, kind)
        for name, found in numbers:
            self._column(prefix + name).add(self.rows, found)
        self.rows += 1
        self._steps.append(index.step)
        self._epochs.append(index.epoch)
        self._times.append(index.time)

    def _add_text(self, name: str, text: str, kind: Kind) -> None:
        """Add a cell that is not a number."""
        if kind != "run":
            self._unreadable.setdefault(name, _Unreadable(text)).cells += 1
        elif len(runs := self.runs.setdefault(name, set())) <= MAX_RUNS:
            runs.add(text)

    def problems(self) -> list[str]:
        """Return texts about cells that are not numbers, by column."""
        texts = []
        for name, bad in islice(self._unreadable.items(), MAX_NAMED):
            cells = "1 cell is not a number"
            if bad.cells > 1:
                cells = f"{bad.cells} cells are not numbers"
            texts.append(f"{name}: {cells}, such as {bad.example[:MAX_EXAMPLE]!r}")
        if (more := len(self._unreadable) - MAX_NAMED) > 0:
            texts.append(f"{more} more columns with cells that are not numbers")
        return texts

    def may_be_text(self) -> bool:
        """Return True if no column is a loss or the like, and not all cells are numbers."""
        return not self.has_roles() and (bool(self._unreadable) or not self._values)

    def has_roles(self) -> bool:
        """Return True if a column is a loss or an accuracy by its name."""
        return bool(roles_of(self._values).assigned.keys() - {"lr"})

    def put_in_order(self) -> bool:
        """Reverse the rows if the newest is first; return True if it was."""
        if not any(map(_is_newest_first, (self._steps, self._epochs, self._unix_times()))):
            return False
        for index in (self._steps, self._epochs, self._times):
            index.reverse()
        for column in self._values.values():
            column.reverse(self.rows)
        return True

    def _unix_times(self) -> "array[float]":
        times = [row_time for row_time in self._times if row_time is not None]
        return array("d", times if are_unix_times(times) else [])

    def _column(self, name: str) -> _Column:
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

    @property
    def steps_per_epoch(self) -> float:
        """Steps of an epoch if rows tell fractions of an epoch and a step; 0 if not."""
        return length_of_epochs(zip(self._steps, self._epochs, strict=True))

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
            if self._is_known_band(name, column):
                continue
            found[name] = series = Series()
            series.has_percent_sign = column.has_percent_sign
            for row, value in zip(column.rows, column.numbers(), strict=True):
                if (step := steps[row]) is None:
                    continue
                if times:
                    series.add(step, times[row], value)
                else:
                    series.add(step, read_at[row], value, row)
        return found

    def _is_known_band(self, name: str, column: _Column) -> bool:
        """Return True for the extremes of a step, or of a series whose values are the same."""
        base = name[:-5]
        if not name.endswith(BANDS) or base not in self._kinds:
            return False
        other = self._values.get(base)
        return other is None or (other.rows, other.values) == (column.rows, column.values)

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


def length_of_epochs(positions: Iterable[tuple[float, float]]) -> float:
    """Return the steps of an epoch; 0 if no epoch has a fraction, or their length varies.

    Args:
        positions: Steps and epochs; either may be NaN.
    """
    known = [(step, epoch) for step, epoch in positions if epoch > 0 and 0 < step < MAX_STEP]
    if not known or all(epoch.is_integer() for _, epoch in known):
        return 0.0
    last_step, last_epoch = max(known, key=itemgetter(1))
    length = last_step / last_epoch
    is_constant = all(
        abs(step - epoch * length) <= 1 + MAX_EPOCH_ERROR * step for step, epoch in known
    )
    return length if is_constant else 0.0


def _better_time(first: float | None, second: float | None) -> float | None:
    """Return the time since 1970 of two columns, else the first one."""
    if first is None or (second and are_unix_times([second]) and not are_unix_times([first])):
        return second
    return first


def _is_newest_first(column: "array[float]") -> bool:
    """Return True if the column decreases and never increases, apart from missing values."""
    known = [value for value in column if not math.isnan(value)]
    is_falling = all(first >= second for first, second in pairwise(known))
    return is_falling and bool(known) and known[0] > known[-1]


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
