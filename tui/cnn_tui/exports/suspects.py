"""The images of a run, ranked by how suspicious they are, as CSV."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from cnn_engine.errors import StorageError
from cnn_engine.results.suspects import SuspectRow
from cnn_engine.storage.atomic import write_atomically
from cnn_tui.text.safe import csv_cell

MAX_CELL = 4_096
"""Maximum characters of a path or class name: the longest path of common file systems."""


def write_suspects(rows: Iterable[SuspectRow], path: Path) -> None:
    """Write rows to a CSV file; an existing one is replaced.

    Raises:
        StorageError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SuspectRow._fields)
    for row in rows:
        given, likely = csv_cell(row.given, MAX_CELL), csv_cell(row.likely, MAX_CELL)
        name, other = csv_cell(row.path, MAX_CELL), csv_cell(row.other, MAX_CELL)
        score = f"{row.score:.6f}"
        writer.writerow([row.kind, row.rank, name, given, likely, score, other, row.mark])
    try:
        write_atomically(path, text.getvalue().encode(errors="surrogateescape"))
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
