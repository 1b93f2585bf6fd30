"""Tables with the classes of images that are not in class folders, near a folder of images."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cnn_engine.data.marks import MARKS_FILE
from cnn_engine.data.sources.image_index import ImageIndex
from cnn_engine.data.sources.label_columns import find_path_column, label_columns
from cnn_engine.errors import DataError
from cnn_engine.storage.csv_table import CsvTable, read_csv
from cnn_engine.system.program import shell_command

MAX_BYTES = 1 << 24
"""Larger tables are not read."""


def table_hint(folder: Path, images: Sequence[str]) -> str:
    """Return how to train with the classes of a table near the images; empty without one.

    Args:
        folder: Folder of the images.
        images: Some of their names.
    """
    index = ImageIndex(folder, images)
    for table in _tables(folder):
        if (path := find_path_column(table, index)) is None:
            continue
        columns = label_columns(table, {path})
        if not columns:
            continue
        settings = ["data.source=csv", f"data.table={table.path}"]
        names = " or ".join(table.columns[column] for column in columns)
        if len(columns) > 1:
            settings.append(f"data.label_column={table.columns[columns[0]]}")
        options = [word for setting in settings for word in ("--set", setting)]
        command = shell_command("run", "folder", "--data-dir", str(folder), *options)
        return f"{table.path} has their classes in the column {names}; to train with it: {command}"
    return ""


def table_of(folder: Path, images: Sequence[str]) -> Path | None:
    """Return a table in which some of the images are named; None without one.

    Args:
        folder: Folder of the images.
        images: Some of their names.
    """
    index = ImageIndex(folder, images)
    tables = (table for table in _tables(folder) if find_path_column(table, index) is not None)
    return next((table.path for table in tables), None)


def _tables(folder: Path) -> Iterator[CsvTable]:
    """Yield the readable tables in a folder and the two above it, the nearest first."""
    for place in (folder, *folder.absolute().parents[:2]):
        for path in sorted((*place.glob("*.csv"), *place.glob("*.tsv"))):
            try:
                if path.name != MARKS_FILE and path.stat().st_size <= MAX_BYTES:
                    yield read_csv(path)
            except (OSError, DataError):
                continue
