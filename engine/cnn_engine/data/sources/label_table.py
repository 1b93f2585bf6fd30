"""CSV files with the classes of images that are not in class folders."""

import csv
import os
import shlex
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from itertools import islice, product
from pathlib import Path

from cnn_engine.storage.regular_files import open_regular

MAX_ROWS = 200
"""Maximum number of rows that are examined."""

SCRIPT = (
    "import csv, os, shutil; "
    "[(os.makedirs({out!r} + os.sep + row[{label!r}], exist_ok=True), "
    "shutil.copy(os.path.join({folder!r}, row[{name!r}] + {suffix!r}), "
    "{out!r} + os.sep + row[{label!r}])) "
    "for row in csv.DictReader(open({table!r}, encoding='utf-8-sig'))]"
)
"""Python code that copies images into class folders; after `import`, one line takes no loop."""


def copying_hint(folder: Path, images: Sequence[str]) -> str:
    """Return a command that copies images into class folders; empty without a CSV file of them.

    Args:
        folder: Folder of the images.
        images: Some of their names.
    """
    suffixes = ["", *sorted({Path(name).suffix for name in images})]
    for table in _tables(folder):
        rows = list(islice(_rows(table), MAX_ROWS))
        # Names are relative to the folder of the images, or to that of the table.
        for name, suffix, base in product(_columns(rows), suffixes, (folder, table.parent)):
            # Unlike `Path.is_file`, False for texts too long to be a name.
            if not all(os.path.isfile(base / f"{row[name]}{suffix}") for row in rows):  # noqa: PTH113
                continue
            if labels := _label_columns(rows, name):
                out = f"{folder}-sorted"
                script = SCRIPT.format(
                    folder=str(base),
                    table=str(table),
                    out=out,
                    name=name,
                    suffix=suffix,
                    label=labels[0],
                )
                return (
                    f"{table} has their classes in the column {labels[0]}; to copy them into "
                    f"folders in {out}: python3 -c {shlex.quote(script)}"
                )
    return ""


def table_of(folder: Path, images: Sequence[str]) -> Path | None:
    """Return a CSV file in which some of the images are named; None without one.

    Args:
        folder: Folder of the images.
        images: Some of their names.
    """
    names = {*images, *(Path(name).stem for name in images)}
    for table in _tables(folder):
        for row in islice(_rows(table), MAX_ROWS):
            if any(value.rpartition("/")[2] in names for value in row.values()):
                return table
    return None


def _tables(folder: Path) -> list[Path]:
    """Return the CSV files in a folder and the two above it, the nearest first."""
    places = (folder, *folder.absolute().parents[:2])
    return [table for place in places for table in sorted(place.glob("*.csv"))]


def _rows(table: Path) -> Iterator[dict[str, str]]:
    """Yield the complete rows of a table; none if it cannot be read."""
    try:
        with TextIOWrapper(open_regular(table), encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                if None not in row and all(row.values()):
                    yield row
    except (OSError, UnicodeDecodeError, csv.Error):
        return


def _columns(rows: Sequence[dict[str, str]]) -> Sequence[str]:
    return list(rows[0]) if rows else []


def _label_columns(rows: Sequence[dict[str, str]], name: str) -> list[str]:
    """Return the columns that may be classes, but none of several with 0 and 1: one per class."""
    labels = [key for key in _columns(rows) if key != name and _is_label(rows, key)]
    binary = [key for key in labels if {row[key].strip() for row in rows} == {"0", "1"}]
    return [key for key in labels if len(binary) < 2 or key not in binary]


def _is_label(rows: Sequence[dict[str, str]], key: str) -> bool:
    """Return True for a column of at least two values that occur twice on average."""
    values = {row[key] for row in rows}
    return 2 <= len(values) <= len(rows) / 2 and not any("/" in value for value in values)
