"""Runs as CSV, for spreadsheets and data frames: UTF-8, separated by commas.

Times are seconds since 1970. Text that a spreadsheet would read as a formula is prefixed with an
apostrophe, control characters are escaped, and non-finite numbers are `nan` or `inf`.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from cnn_engine.runlog.events import EpochFinished, TestFinished
from cnn_engine.runs.history import read_scalars, read_steps
from cnn_tui.exports.record import STEP_COLUMNS, Record, scalar_values
from cnn_tui.text.numbers import ratio
from cnn_tui.text.safe import csv_cell

LONG_COLUMNS = ("run", "series", "epoch", "step", "time", "value")
EPOCH_COLUMNS = (
    *("train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_macro_f1"),
    *("train_seconds", "val_seconds"),
)
STEP_SERIES = {"step_loss": "loss", "step_lr": "lr"}
"""Series names of the long table, with their fields of `StepsFinished`."""


def write_epochs(records: Sequence[Record], out: TextIO) -> None:
    """Write one line per epoch, one column per metric and per class of any of the runs."""
    classes = list(dict.fromkeys(name for record in records for name in record.classes))
    heading = ["run", "epoch", "time", *EPOCH_COLUMNS, "best"]
    rows = ([record.run.id, *row] for record in records for row in _epochs(record, classes))
    _write(out, [*heading, *(f"val_accuracy of {name}" for name in classes)], rows)


def write_steps(records: Sequence[Record], out: TextIO) -> None:
    """Write one line per `StepsFinished` event, about two per second of training."""
    rows = (
        [record.run.id, *(getattr(event, name) for name in STEP_COLUMNS)]
        for record in records
        for event in read_steps(record.run)
    )
    _write(out, ["run", *STEP_COLUMNS], rows)


def write_series(records: Sequence[Record], out: TextIO) -> None:
    """Write one line per step at which values of series were logged, and a column per series."""
    names = list(dict.fromkeys(name for record in records for name in record.state.series))
    rows = ([record.run.id, *row] for record in records for row in _scalars(record, names))
    _write(out, ["run", "epoch", "step", "time", *names], rows)


def _scalars(record: Record, names: list[str]) -> Iterator[list[Any]]:
    for event in read_scalars(record.run, record.state.steps_per_epoch):
        values = scalar_values(event)
        yield [event.epoch, event.step, event.time, *(values.get(name, "") for name in names)]


def write_long(records: Sequence[Record], out: TextIO) -> None:
    """Write one line per value, for every series of every run."""
    _write(out, LONG_COLUMNS, (row for record in records for row in _long(record)))


def _epochs(record: Record, classes: list[str]) -> Iterator[list[Any]]:
    for epoch in record.state.epochs:
        values, accuracies = _epoch_values(epoch), _accuracies(record, epoch)
        yield [
            epoch.epoch,
            epoch.time,
            *(values.get(name, "") for name in EPOCH_COLUMNS),
            int(epoch.epoch == record.summary.best_epoch),
            *(accuracies.get(name, "") for name in classes),
        ]


def _long(record: Record) -> Iterator[list[Any]]:
    steps = record.state.steps_per_epoch
    for event in read_steps(record.run):
        position = [event.epoch, (event.epoch - 1) * steps + event.step, event.time]
        for series, field in STEP_SERIES.items():
            yield [record.run.id, series, *position, getattr(event, field)]
    for scalars in read_scalars(record.run, steps):
        position = [scalars.epoch, scalars.step, scalars.time]
        for name, value in scalar_values(scalars).items():
            yield [record.run.id, name, *position, value]
    for epoch in record.state.epochs:
        position = [epoch.epoch, record.state.end_of(epoch), epoch.time]
        for name, value in _epoch_values(epoch).items():
            yield [record.run.id, name, *position, value]
        for name, accuracy in _accuracies(record, epoch).items():
            yield [record.run.id, f"val_accuracy of {name}", *position, accuracy]
    if test := record.state.test:
        position = [test.epoch, record.state.end_of(test), test.time]
        yield [record.run.id, "test_loss", *position, test.loss]
        yield [record.run.id, "test_accuracy", *position, test.accuracy]
        for name, accuracy in _accuracies(record, test).items():
            yield [record.run.id, f"test_accuracy of {name}", *position, accuracy]


def _epoch_values(epoch: EpochFinished) -> dict[str, float]:
    """Return the values of an epoch by column, without those that are not known."""
    values = {name: getattr(epoch, name) for name in EPOCH_COLUMNS}
    return {name: value for name, value in values.items() if value is not None}


def _accuracies(record: Record, counts: EpochFinished | TestFinished) -> dict[str, float]:
    return {
        name: ratio(correct, total, math.nan)
        for name, correct, total in zip(record.classes, counts.correct, counts.total, strict=False)
    }


def _write(out: TextIO, heading: Iterable[str], rows: Iterable[list[Any]]) -> None:
    table = csv.writer(out, lineterminator="\n")
    table.writerow(map(_safe_cell, heading))
    table.writerows(map(_safe_cell, row) for row in rows)


def _safe_cell(cell: Any) -> Any:  # noqa: ANN401 - text or number
    return csv_cell(cell, 1000) if isinstance(cell, str) else cell
