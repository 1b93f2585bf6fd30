"""Rows of JSON logs: nested objects, lists by column, objects by epoch."""

import re
from typing import Any, TypeAlias

from cnn_engine.runlog.roles import roles_of

Object: TypeAlias = dict[str, Any]

TENSORBOARD_COLUMNS = "Wall time", "Step", "Value"
"""Columns of a series that was downloaded from TensorBoard."""

MAX_DEPTH = 8
"""Objects that are nested deeper are left out."""

INDEX = re.compile(r"(?:(epoch|step|iteration)[ _-]?)?(\d{1,15})", re.IGNORECASE)
"""Key of a row: `0`, `epoch_1`."""


def records_of(parsed: Object | list[Any]) -> list[Object]:
    """Return the rows of a JSON document, without nested objects."""
    if isinstance(parsed, list):
        if parsed and all(isinstance(row, list) and len(row) == 3 for row in parsed):
            return [dict(zip(TENSORBOARD_COLUMNS, row, strict=True)) for row in parsed]
        return [flat(row) for row in parsed if isinstance(row, dict)]
    records = max(map(_records_with_roles, parsed.values()), key=len, default=[])
    if records := records or _values_of_metric(parsed):
        # The last row of Hugging Face's Trainer sums up the run, with the mean train_loss.
        return [flat(row) for row in records if "train_runtime" not in row]
    if records := _rows_by_index(parsed):
        return records
    nested = [_rows_by_index(value) for value in parsed.values() if isinstance(value, dict)]
    if records := max(nested, key=len, default=[]):
        return records
    return _rows_of_columns(flat(parsed))


def flat(value: Object, prefix: str = "", depth: int = 0) -> Object:
    """Return an object with the values of nested ones, named as in `train/loss`."""
    found: Object = {}
    for name, inner in value.items():
        if not isinstance(inner, dict):
            found[prefix + name] = inner
        elif column := _column(inner):
            found[prefix + name] = column
        elif depth < MAX_DEPTH:
            found |= flat(inner, f"{prefix}{name}/", depth + 1)
    return found


def _rows_of_columns(columns: Object) -> list[Object]:
    """Return the rows of lists by column, such as Keras' History.history, or a single row."""
    lists = {name: value for name, value in columns.items() if isinstance(value, list)}
    if not lists or (roles_of(columns).assigned and not roles_of(lists).assigned):
        return [columns]  # the first of several lines
    return [
        {name: values[row] for name, values in lists.items() if row < len(values)}
        for row in range(max(map(len, lists.values())))
    ]


def _rows_by_index(value: Object) -> list[Object]:
    """Return objects by epoch or step in order; empty if a key is none or a value no object."""
    matches = [INDEX.fullmatch(name) for name in value]
    if not all(matches) or not all(isinstance(row, dict) for row in value.values()):
        return []
    rows = [
        (int(match[2]), _with_index(match, flat(row)))
        for match, row in zip(matches, value.values(), strict=True)
        if match
    ]
    return [row for _, row in sorted(rows, key=lambda indexed: indexed[0])]


def _with_index(match: re.Match[str], row: Object) -> Object:
    """Return a row with the epoch or step of its key, unless it has one of its own."""
    if {"epoch", "step"}.intersection(map(str.lower, row)):
        return row
    return {(match[1] or "step").lower(): int(match[2])} | row


def _column(value: Object) -> list[Any]:
    """Return the values of a column by row, as pandas writes it; empty for other objects."""
    is_column = all(name.isdecimal() for name in value)
    return list(value.values()) if is_column and not any(map(_is_nested, value.values())) else []


def _is_nested(value: object) -> bool:
    return isinstance(value, list | dict)


def _values_of_metric(parsed: Object) -> list[Object]:
    """Return the rows that `trackio get metric --json` prints; empty for other objects."""
    metric, rows = parsed.get("metric"), parsed.get("values")
    if not isinstance(metric, str) or not isinstance(rows, list):
        return []
    return [
        {metric if name == "value" else name: value for name, value in row.items()}
        for row in rows
        if isinstance(row, dict)
    ]


def _records_with_roles(value: object) -> list[Object]:
    """Return a list of objects that hold a loss or the like; empty for other values."""
    records = [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
    return records if roles_of({name for row in records for name in flat(row)}).assigned else []
