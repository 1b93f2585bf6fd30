"""Runs as CSV, for spreadsheets and data frames: UTF-8, a comma between cells.

Times are seconds since 1970. A text that a spreadsheet would take for a formula has an apostrophe
before it, and control characters are written as escapes; what is no number is `nan` or `inf`.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from cnn_engine.runlog.events import EpochFinished, TestFinished
from cnn_engine.runs.history import read_steps
from cnn_tui.exports.record import STEP_COLUMNS, Record
from cnn_tui.text.numbers import ratio
from cnn_tui.text.safe import safe_text

FORMULA_STARTS = ("=", "+", "-", "@")
"""What begins a formula; the other two, tab and carriage return, are escaped already."""

LONG_COLUMNS = ("run", "series", "epoch", "step", "time", "value")
EPOCH_COLUMNS = (
    *("train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    *("train_seconds", "val_seconds"),
)
STEP_SERIES = {"step_loss": "loss", "step_lr": "lr"}
"""Names of the long table's series, and the fields they hold."""


def write_epochs(records: Sequence[Record], out: TextIO) -> None:
    """A line an epoch, a column a figure; with several runs, all their classes have columns."""
    classes = list(dict.fromkeys(name for record in records for name in record.classes))
    heading = ["run", "epoch", "time", *EPOCH_COLUMNS, "best"]
    rows = ([record.run.id, *row] for record in records for row in _epochs(record, classes))
    _write(out, [*heading, *(f"val_accuracy of {name}" for name in classes)], rows)


def write_steps(records: Sequence[Record], out: TextIO) -> None:
    """A line for each time that the engine told of its steps, about twice a second."""
    rows = (
        [record.run.id, *(getattr(event, name) for name in STEP_COLUMNS)]
        for record in records
        for event in read_steps(record.run)
    )
    _write(out, ["run", *STEP_COLUMNS], rows)


def write_long(records: Sequence[Record], out: TextIO) -> None:
    """A line a value: every series of every run, one below the other."""
    _write(out, LONG_COLUMNS, (row for record in records for row in _long(record)))


def _epochs(record: Record, classes: list[str]) -> Iterator[list[Any]]:
    for epoch in record.state.epochs:
        accuracies = _accuracies(record, epoch)
        yield [
            epoch.epoch,
            epoch.time,
            *(getattr(epoch, name) for name in EPOCH_COLUMNS),
            int(epoch.epoch == record.summary.best_epoch),
            *(accuracies.get(name, "") for name in classes),
        ]


def _long(record: Record) -> Iterator[list[Any]]:
    steps = record.state.steps_per_epoch
    for event in read_steps(record.run):
        place = [event.epoch, (event.epoch - 1) * steps + event.step, event.time]
        for series, name in STEP_SERIES.items():
            yield [record.run.id, series, *place, getattr(event, name)]
    for epoch in record.state.epochs:
        place = [epoch.epoch, epoch.epoch * steps, epoch.time]
        for name in EPOCH_COLUMNS:
            yield [record.run.id, name, *place, getattr(epoch, name)]
        for name, accuracy in _accuracies(record, epoch).items():
            yield [record.run.id, f"val_accuracy of {name}", *place, accuracy]
    if test := record.state.test:
        place = [test.epoch, test.epoch * steps, test.time]
        yield [record.run.id, "test_loss", *place, test.loss]
        yield [record.run.id, "test_accuracy", *place, test.accuracy]
        for name, accuracy in _accuracies(record, test).items():
            yield [record.run.id, f"test_accuracy of {name}", *place, accuracy]


def _accuracies(record: Record, counts: EpochFinished | TestFinished) -> dict[str, float]:
    return {
        name: ratio(correct, total)
        for name, correct, total in zip(record.classes, counts.correct, counts.total, strict=False)
    }


def _write(out: TextIO, heading: Iterable[str], rows: Iterable[list[Any]]) -> None:
    table = csv.writer(out, lineterminator="\n")
    table.writerow(map(_safe_cell, heading))
    table.writerows(map(_safe_cell, row) for row in rows)


def _safe_cell(cell: Any) -> Any:  # noqa: ANN401 - text or number
    if not isinstance(cell, str):
        return cell
    text = safe_text(cell, 1000)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
