"""Columns of a list of runs, in the shell and in the run browser."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cnn_engine.runs.columns import RUN_COLUMNS, RunColumn
from cnn_engine.runs.summary import RunSummary
from cnn_tui.text.numbers import date, decimal, duration, out_of, percent, significant
from cnn_tui.text.queue import status_text
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import Justify

MAX_NAME_LENGTH = 30


class Column(NamedTuple):
    """A column of the list."""

    source: RunColumn
    """Value shown and sorted by."""

    heading: str
    justify: Justify
    cell: Callable[[RunSummary], str]


def make_column(source: RunColumn) -> Column:
    """Return a column for any value of a run."""
    heading = source.key.rpartition(".")[2]
    if source.kind == "series":
        heading = safe_text(source.key, MAX_NAME_LENGTH)
        return Column(source, heading, "right", lambda run: series_text(source.value(run)))
    if source.kind == "config":
        return Column(source, heading, "right", lambda run: setting_text(source.value(run)))
    to_text = _FORMATTERS[source.kind]
    justify: Justify = "right" if source.kind in ("number", "fraction", "seconds") else "left"
    return Column(
        source,
        heading,
        justify,
        lambda run: "–" if source.value(run) is None else to_text(source.value(run)),
    )


def series_text(value: float | None) -> str:
    """Return a value of a series as text; a dash for None."""
    return "–" if value is None else significant(value)


def setting_text(value: Any) -> str:  # noqa: ANN401 - any config value
    """Return a config value as text: `0.001`, `[32, 64]`; a dash for None."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    return safe_text(f"{value:g}" if isinstance(value, float) else str(value), 24)


_FORMATTERS: dict[str, Callable[[Any], str]] = {
    "number": lambda value: decimal(value) if isinstance(value, float) else f"{value:,}",
    "fraction": percent,
    "seconds": duration,
    "date": date,
    "text": lambda value: safe_text(value, MAX_NAME_LENGTH),
    "words": lambda words: safe_text(" ".join(words), MAX_NAME_LENGTH),
    "flag": lambda value: "★" if value else "",
}

COLUMNS = (
    make_column(RUN_COLUMNS["run"]),
    Column(RUN_COLUMNS["status"], "status", "left", status_text),
    Column(RUN_COLUMNS["preset"], "config", "left", lambda run: safe_text(run.preset, 16)),
    Column(
        RUN_COLUMNS["epochs"], "epochs", "right", lambda run: out_of(run.epochs_done, run.epochs)
    ),
    make_column(RUN_COLUMNS["val"]),
    make_column(RUN_COLUMNS["acc"]),
    make_column(RUN_COLUMNS["test"]),
    make_column(RUN_COLUMNS["time"]),
    make_column(RUN_COLUMNS["started"]),
    make_column(RUN_COLUMNS["name"]),
    Column(
        RUN_COLUMNS["tag"],
        "tags",
        "left",
        lambda run: safe_text(" ".join(run.tags), MAX_NAME_LENGTH),
    ),
)


def columns_with(extra_columns: Sequence[RunColumn]) -> tuple[Column, ...]:
    """Return the usual columns and the star; `extra_columns` not among them follow the time."""
    usual = {column.source.key for column in COLUMNS} | {"star", "note"}
    more = [make_column(column) for column in extra_columns if column.key not in usual]
    return (*COLUMNS[:8], *more, *COLUMNS[8:], make_column(RUN_COLUMNS["star"]))
