"""Reading of CSV files that people write: with a header, and commas, semicolons or tabs."""

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Literal, NamedTuple

from cnn_engine.errors import DataError
from cnn_engine.storage.regular_files import open_regular

DELIMITERS = ",;\t|"

MAX_BYTES = 1 << 30
"""Enough for about ten million rows."""

BYTE_ORDER_MARKS_16 = (b"\xff\xfe", b"\xfe\xff")
"""Start of files in UTF-16."""


class CsvRow(NamedTuple):
    """A row of a table."""

    line: int
    """Number of its first line in the file, counted from 1."""

    cells: list[str]
    """One per column."""


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """A file with a header and rows of as many cells."""

    path: Path

    columns: list[str]
    """Names in the header, without surrounding blanks."""

    rows: list[CsvRow]

    def at(self, row: CsvRow | int) -> str:
        """Return the place of a row, or of a line, for the start of a message."""
        return f"{self.path}: line {row if isinstance(row, int) else row.line}"


def read_csv(path: Path, *, errors: Literal["strict", "surrogateescape"] = "strict") -> CsvTable:
    """Read a CSV file; the header shows the delimiter.

    Blank lines are skipped, and a byte order mark is ignored.

    Args:
        path: The file.
        errors: Treatment of bytes that are not UTF-8, as in `bytes.decode`.

    Raises:
        DataError: it cannot be read, is empty, not UTF-8 or not CSV; names the line.
    """
    text = _decoded(path, _content(path), errors)
    header = next((line for line in text.splitlines() if line.strip()), "")
    if not header:
        raise DataError(f"{path}: is empty; the first line must be a header with column names")
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    rows: list[CsvRow] = []
    line = 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                if columns:
                    rows.append(CsvRow(line, _fitted(path, line, cells, columns)))
                else:
                    columns = [*map(str.strip, cells)]
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}: line {line}: is not CSV ({error}); correct it") from None
    return CsvTable(path=path, columns=columns, rows=rows)


def _fitted(path: Path, line: int, cells: list[str], columns: list[str]) -> list[str]:
    """Return one cell per column; empty ones at the end of the row may be too many."""
    if len(cells) < len(columns) or any(map(str.strip, cells[len(columns) :])):
        raise DataError(
            f"{path}: line {line}: has {len(cells)} cells, but the header has {len(columns)}; "
            "correct it (quote cells that contain the delimiter)"
        )
    return cells[: len(columns)]


def _content(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: is over {MAX_BYTES:,} bytes; is it a CSV file?")
    return content


def _decoded(path: Path, content: bytes, errors: Literal["strict", "surrogateescape"]) -> str:
    if content.startswith(BYTE_ORDER_MARKS_16):
        raise DataError(f"{path}: is UTF-16; save it as CSV in UTF-8")
    try:
        return content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}: line {line}: is not UTF-8; save it as CSV in UTF-8") from None
