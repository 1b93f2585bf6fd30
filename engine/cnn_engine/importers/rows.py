"""Rows of CSV, TSV and JSON logs of any program."""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from cnn_engine.errors import DataError
from cnn_engine.importers.cells import number
from cnn_engine.importers.json_records import flat, records_of
from cnn_engine.importers.settings import Settings, settings_within

Row: TypeAlias = dict[str, str]
"""Cells of a row by column; rows of JSON lack some."""

MAX_LINE_LENGTH = 1 << 20
MAX_JSON_BYTES = 256 << 20
MAX_QUOTED_LINES = 50
"""Maximum number of lines of a row with quoted line breaks."""

BINARY = "\0"
SQLITE = b"SQLite format 3\0"

VALUE_IN_NAME = re.compile(r"[:=]\s*[-+]?\.?\d|\d\s*/\s*\d|=>|>{3}")
"""Part of a line for readers, such as `Epoch 1/2, loss: 0.5`."""

RULE = re.compile(r"(?=.*[|+])[|+:=\s-]*(?:--|==)[|+:=\s-]*")
"""Line below the header of a table in Markdown, or as databases print it."""


class RowReader:
    """Reads the rows of a file from its start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.has_comma_separator = False
        """True for CSV, where a cell with a comma is in quotes; known from the first row on."""
        self.is_text = False
        """True if the first line looks like a sentence or values, not like names of columns."""
        self.is_object = False
        """True for a single JSON object with values, which may be a config."""
        self.settings: Settings = {}
        """Settings in the JSON document."""
        self._malformed = 0
        """Number of rows with too many or too few cells."""
        self._invalid = 0
        """Number of lines that are not JSON."""

    def read(self, *, whole: bool) -> Iterator[Row]:
        """Yield the rows.

        Args:
            whole: False if a last line without a newline may be incomplete and is not read yet.

        Raises:
            DataError: the file is not a table.
            OSError: the file cannot be read.
        """
        with self._path.open("rb") as file:
            start = file.read(4096)
            file.seek(0)
            if start.startswith(SQLITE):
                raise DataError(
                    f"{self._path}: is a database, such as Trackio's; export a metric with "
                    "`trackio get metric --json`, or a chart as CSV"
                )
            is_utf16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            encoding = "utf-16" if is_utf16 else "utf-8-sig"
            text = io.TextIOWrapper(file, encoding, errors="replace", newline=None)
            first = start.decode(encoding, "replace").lstrip()
            if first.startswith(("{", "[")):
                yield from self._json_rows(text, whole=whole)
            else:
                yield from self._csv_rows(self._lines(text, whole=whole))

    def problems(self) -> list[str]:
        """Return texts about what was left out."""
        name, texts = self._path.name, []
        if self._malformed:
            rows = "row has" if self._malformed == 1 else "rows have"
            texts.append(
                f"{self._malformed} {rows} more or fewer cells than the header of {name} and "
                f"{'is' if self._malformed == 1 else 'are'} left out"
            )
        if self._invalid:
            lines = (
                f"line of {name} is not valid JSON and is"
                if self._invalid == 1
                else f"lines of {name} are not valid JSON and are"
            )
            texts.append(f"{self._invalid} {lines} left out")
        return texts

    def _lines(self, text: io.TextIOWrapper, *, whole: bool) -> Iterator[str]:
        while line := text.readline(MAX_LINE_LENGTH):
            if BINARY in line or len(line) == MAX_LINE_LENGTH:
                raise DataError(f"{self._path}: is not a CSV file")
            if line.endswith("\n") or whole:
                yield line.rstrip("\n")

    # CSV

    def _csv_rows(self, lines: Iterator[str]) -> Iterator[Row]:
        layout, lines = self._header(lines)
        names = _without_run(layout.names)
        self.has_comma_separator = layout.delimiter == ","
        self.is_text = any(map(VALUE_IN_NAME.search, layout.names)) or layout.is_sentence
        while (line := next(lines, None)) is not None:
            if not line.strip() or RULE.fullmatch(line):
                continue
            cells, rest = layout.split(line), [line]
            # A quoted cell may have line breaks.
            while cells is None and "".join(rest).count('"') % 2 and len(rest) < MAX_QUOTED_LINES:
                if (following := next(lines, None)) is None:
                    break
                rest.append(following)
                cells = layout.split("\n".join(rest))
            if cells is None:
                lines = chain(rest[1:], lines)
            elif cells == layout.names:
                continue  # the header is repeated, as by a program that was started again
            if cells is None or len(cells) != len(layout.names):
                self._malformed += 1
            else:
                yield _without_placeholders(dict(zip(names, cells, strict=True)))

    def _header(self, lines: Iterator[str]) -> "tuple[_Layout, Iterator[str]]":
        """Return the layout that the first lines show, and the lines behind the header."""
        comment = ""
        for line in lines:
            if line.startswith("#"):
                comment = line.lstrip("# ")
            elif line.strip() and not line.lower().startswith("sep=") and not RULE.fullmatch(line):
                following = next(lines, "")
                layout = _Layout(line, following)
                behind = chain([following], lines)
                if comment and layout.is_numeric:  # as numpy.savetxt writes it
                    return _Layout(comment, line), chain([line], behind)
                if layout.is_numeric:
                    raise DataError(
                        f"{self._path}: its first line must name the columns, such as "
                        "epoch,loss,val_loss"
                    )
                return layout, behind
        return _Layout("", ""), iter(())

    # JSON

    def _json_rows(self, text: io.TextIOWrapper, *, whole: bool) -> Iterator[Row]:
        content = text.read(MAX_JSON_BYTES)
        try:
            parsed = json.loads(content)
        except RecursionError:
            raise DataError(f"{self._path}: is nested too deeply") from None
        except ValueError:
            yield from self._json_lines(content, whole=whole)
            return
        records = records_of(parsed)
        if isinstance(parsed, dict):
            self.is_object = len(records) == 1
            self.settings = settings_within(parsed)
        yield from map(_json_cells, records)

    def _json_lines(self, content: str, *, whole: bool) -> Iterator[Row]:
        *lines, last = content.split("\n")
        lines = [line for line in (*lines, last if whole else "") if line.strip()]
        for line in lines:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if isinstance(record, dict):
                yield _json_cells(flat(record))
            else:
                self._invalid += 1
        if whole and self._invalid == len(lines):
            raise DataError(f"{self._path}: is not valid JSON")


def _without_run(names: list[str]) -> list[str]:
    """Return the columns of a chart of a single run exported from W&B without the run's name.

    They are called `RUN - NAME`, `RUN - NAME__MIN` and `RUN - NAME__MAX`. Other names are returned
    as they are.
    """
    known = set(names)
    charted = [name for name in names if {f"{name}__MIN", f"{name}__MAX"} <= known]
    runs = {name.rpartition(" - ")[0] for name in charted}
    if len(runs) != 1:
        return names
    prefix = f"{runs.pop()} - "
    return [name.removeprefix(prefix) for name in names]


def _without_placeholders(row: Row) -> Row:
    """Return the row without the zeros that Ultralytics writes for an epoch without validation."""
    validated = [name for name in row if name.startswith(("metrics/", "val/"))]
    groups = {name.partition("/")[0] for name in validated}
    if len(groups) < 2 or any(row[name] != "0" for name in validated):
        return row
    return {name: cell for name, cell in row.items() if name not in validated}


def _json_cells(record: dict[str, Any]) -> Row:
    return {
        str(name): str(value)
        for name, value in record.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }


class _Layout:
    """Delimiter and column names of a CSV file."""

    def __init__(self, header: str, row: str) -> None:
        """Take them from the header and the row behind it."""
        self.delimiter: str | None = max(",;\t|", key=header.count)
        words = len(header.split())
        if self.delimiter not in header and words > 1 and len(row.split()) == words:
            self.delimiter = None  # blanks
        names = [name.strip() for name in self._cells(header) or []]
        while names and not names[-1]:
            names.pop()
        self.is_numeric = bool(names) and all(number(name) is not None for name in names)
        """True if the header is a row of numbers."""
        has_number = any(number(name) is not None for name in names)
        self.is_sentence = words > 1 and (
            has_number if self.delimiter is None else self.delimiter not in header
        )
        """True if the header consists of words without a delimiter."""
        self.names = [
            f"{name}.{names[:index].count(name)}" if name in names[:index] else name
            for index, name in enumerate(names)
        ]

    def split(self, line: str) -> list[str] | None:
        """Return the cells of a line, or None if its quotes do not match."""
        cells = self._cells(line)
        surplus = cells[len(self.names) :] if cells else []
        if cells and surplus and not any(surplus):  # a delimiter at the end of each line
            return cells[: len(self.names)]
        return cells

    def _cells(self, line: str) -> list[str] | None:
        if self.delimiter is None:
            return line.split()
        reader = csv.reader([line], delimiter=self.delimiter, strict=True, skipinitialspace=True)
        try:
            return [cell.strip() for cell in next(reader, [])]
        except csv.Error:
            return None
