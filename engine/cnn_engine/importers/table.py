"""Series in a CSV, TSV or JSON file: one per column, a row per step or epoch."""

import re
import time
from pathlib import Path

from cnn_engine.errors import DataError
from cnn_engine.importers.columns import MAX_RUNS, Columns
from cnn_engine.importers.json_records import TENSORBOARD_COLUMNS
from cnn_engine.importers.rows import Row, RowReader
from cnn_engine.importers.series import Series
from cnn_engine.importers.settings import Settings, settings_beside
from cnn_engine.progress import Progress, no_progress

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
        self._columns = Columns()
        self._settings: Settings = {}
        self._problems: list[str] = []
        """Texts about the rows."""
        self._read_at: list[float] = []
        """Time at which each row was read first; for rows without a time."""
        self._modified_at = 0.0, 0
        """Time of the file's last change when it was read first, and its rows then."""

    def poll(self, *, ended: bool = False, report: Progress = no_progress) -> bool:
        """Read the file if it has changed.

        Raises:
            DataError: it is not a table.
            OSError: it cannot be read at the moment.
        """
        stat = self.path.stat()
        identity = stat.st_ino, stat.st_size, stat.st_mtime_ns
        if identity == self._stat and (self._is_whole or not ended):
            return False
        columns, reader = Columns(), RowReader(self.path)
        for row in reader.read(whole=ended):
            columns.add(self._named(row), thousands=reader.has_comma_separator)
            if columns.rows % 1000 == 0:
                report(f"reading {self.path.name}, rows", columns.rows, 0)
        self._problems = reader.problems()
        self._settings = reader.settings
        for name, runs in columns.runs.items():
            if len(runs) > 1:
                raise DataError(
                    f"{self.path}: has rows of several runs, column {name!r}: "
                    f"{', '.join(sorted(runs)[:MAX_RUNS])}; keep the rows of one run"
                )
        if columns.put_in_order():
            self._problems.append(
                f"{self.path.name} begins with the newest row; it is read in reverse"
            )
        if ended and reader.is_text and columns.may_be_text():
            raise DataError(
                f"{self.path}: is not a table; expected CSV, JSON or TensorBoard events"
            )
        if ended and reader.is_object and not columns.has_roles():
            raise DataError(
                f"{self.path}: is a single JSON object without a loss or an accuracy, not a log"
            )
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

    @property
    def steps_per_epoch(self) -> float:
        """Steps of an epoch if rows tell fractions of an epoch; 0 if not."""
        return self._columns.steps_per_epoch

    def settings(self) -> Settings:
        """Return the settings in the file, and those in a file beside it."""
        return settings_beside(self.path) | self._settings

    def notices(self) -> list[str]:
        """Return nothing: see `Source`."""
        return []

    def problems(self) -> list[str]:
        """Return texts about rows and cells that are not as expected."""
        return [*self._problems, *self._columns.problems()]

    def _named(self, row: Row) -> Row:
        """Return the row; a downloaded series is named by its file, which has its run and tag.

        TensorBoard's Time Series view names the file by the run alone.
        """
        if tuple(map(str.lower, row)) != tuple(map(str.lower, TENSORBOARD_COLUMNS)):
            return row
        match = DOWNLOADED.match(self.path.stem)
        name = f"{match['run']}/{match['tag']}" if match else self.path.stem
        return dict(zip((*TENSORBOARD_COLUMNS[:2], name), row.values(), strict=True))


def is_download(path: Path) -> bool:
    """Return True if the name is that of a series downloaded from TensorBoard."""
    return path.suffix in (".csv", ".json") and DOWNLOADED.fullmatch(path.stem) is not None


class Downloads:
    """A directory of series downloaded from TensorBoard, each in a file of its own."""

    steps_are_epochs = False
    steps_per_epoch = 0.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tables: dict[Path, Table] = {}

    def poll(self, *, ended: bool = False, report: Progress = no_progress) -> bool:
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

    def settings(self) -> Settings:
        """Return the settings in a file beside them."""
        return settings_beside(self.path)

    def notices(self) -> list[str]:
        """Return nothing: see `Source`."""
        return []

    def problems(self) -> list[str]:
        """Return the number of rows that were left out, by file."""
        return [problem for table in self._tables.values() for problem in table.problems()]
