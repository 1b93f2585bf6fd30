"""Marks on images of a folder, such as wrong labels, in a CSV file beside them.

Images are neither moved nor deleted: a run leaves out those marked `drop`, and changes the label of
those marked `relabel`. Does not import PyTorch.
"""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, cast, get_args

from cnn_engine.config.schema import DataConfig
from cnn_engine.errors import DataError, StorageError
from cnn_engine.storage.atomic import write_atomically
from cnn_engine.storage.csv_table import CsvRow, CsvTable, read_csv

MARKS_FILE = "cnn-tui-marks.csv"
"""Name of the file in the directory of the images, `data.path`."""

RUN_MARKS_FILE = "marks.csv"
"""Name of the copy in the directory of a run."""

FILE_SOURCES = frozenset({"folder", "csv"})
"""Sources whose images are files, which marks can name."""

COLUMNS = ("path", "mark", "class")

Mark: TypeAlias = Literal["relabel", "drop", "keep"]
"""`relabel`: the image is of another class. `drop`: not to be used. `keep`: its label is right,
although it looks suspicious."""


class Marked(NamedTuple):
    """Mark of an image."""

    mark: Mark

    class_name: str = ""
    """Class of an image that is relabelled; empty otherwise."""


Marks: TypeAlias = dict[str, Marked]
"""Marks by image, named by its path relative to the directory of the images."""


@dataclass(frozen=True, kw_only=True)
class MarksFile:
    """Marks, and the file that they were read from."""

    path: Path
    marks: Marks


def find_marks(config: DataConfig) -> MarksFile | None:
    """Return the marks that a new run uses; None if there are none, or the config ignores them.

    Raises:
        DataError: the file cannot be read, or a row is invalid; names file and line.
    """
    if config.marks == "ignore" or config.source not in FILE_SOURCES or config.path is None:
        return None
    path = Path(config.path) / MARKS_FILE
    marks = read_marks_file(path)
    return MarksFile(path=path, marks=marks) if marks else None


def find_run_marks(run: Path) -> MarksFile | None:
    """Return the marks that a run was trained with; None if there were none.

    Args:
        run: Directory of the run.

    Raises:
        DataError: its copy of the marks is damaged.
    """
    path = run / RUN_MARKS_FILE
    marks = read_marks_file(path)
    return MarksFile(path=path, marks=marks) if marks else None


def save_run_marks(run: Path, file: MarksFile | None) -> None:
    """Copy marks into the directory of a run, which is trained with them from then on.

    Raises:
        StorageError: the copy cannot be written.
    """
    write_marks_file(run / RUN_MARKS_FILE, file.marks if file else {})


def read_marks(folder: Path) -> Marks:
    """Return the marks in a directory of images; none without a file.

    Raises:
        DataError: the file cannot be read, or a row is invalid; names file and line.
    """
    return read_marks_file(folder / MARKS_FILE)


def read_marks_file(path: Path) -> Marks:
    """Return the marks in a file; none if it does not exist.

    Raises:
        DataError: it cannot be read, or a row is invalid; names file and line.
    """
    if not os.path.lexists(path):
        return {}
    table = read_csv(path, errors="surrogateescape")  # names of files may not be UTF-8
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise DataError(
            f"{table.at(1)}: has no column {missing[0]}; the columns are {','.join(COLUMNS)}"
        )
    positions = [table.columns.index(name) for name in COLUMNS]
    marks: Marks = {}
    lines: dict[str, int] = {}
    for row in table.rows:
        name, mark, class_name = (row.cells[position] for position in positions)
        marked = _marked(table, row, mark.strip(), class_name.strip())
        if not name:
            raise DataError(f"{table.at(row)}: names no image; add its path, or remove the line")
        if marks.setdefault(name, marked) != marked:
            raise DataError(
                f"{table.at(row)}: {name} already has another mark in line {lines[name]}; remove "
                "one of them"
            )
        lines.setdefault(name, row.line)
    return marks


def write_marks(folder: Path, marks: Marks) -> None:
    """Replace the marks in a directory of images; without marks, there is no file.

    Raises:
        StorageError: the file cannot be written; the old marks are kept.
    """
    write_marks_file(folder / MARKS_FILE, marks)


def change_marks(folder: Path, changes: Mapping[str, Marked | None]) -> Marks:
    """Mark images in a directory, and return all of its marks.

    The file is read again before it is written, as other programs may have changed it.

    Args:
        folder: Directory of the images.
        changes: New marks by image; None removes a mark.

    Raises:
        DataError: the file of marks is damaged.
        StorageError: it cannot be written; the old marks are kept.
    """
    marks = dict(read_marks(folder))
    for name, marked in changes.items():
        if marked is None:
            marks.pop(name, None)
        else:
            marks[name] = marked
    write_marks(folder, marks)
    return marks


def write_marks_file(path: Path, marks: Mapping[str, Marked]) -> None:
    """Replace the marks in a file, sorted by image; without marks, there is no file.

    Raises:
        StorageError: it cannot be written; the old marks are kept.
    """
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((name, *marked) for name, marked in sorted(marks.items()))
    try:
        if marks:
            write_atomically(path, text.getvalue().encode(errors="surrogateescape"))
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


def _marked(table: CsvTable, row: CsvRow, mark: str, class_name: str) -> Marked:
    if mark not in get_args(Mark):
        raise DataError(
            f"{table.at(row)}: {mark!r} is not a mark; use {', '.join(get_args(Mark)[:-1])} or "
            f"{get_args(Mark)[-1]}"
        )
    if mark == "relabel" and not class_name:
        raise DataError(f"{table.at(row)}: relabel needs a class; add its name")
    return Marked(cast("Mark", mark), class_name if mark == "relabel" else "")
