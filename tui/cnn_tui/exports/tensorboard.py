"""A run as TensorBoard event files, for `tensorboard --logdir DIRECTORY`.

Training, validation and test have one directory each, so that TensorBoard draws their losses in
one chart; other series are in a fourth. Steps are counted from the start of the run.
"""

import math
from pathlib import Path
from typing import BinaryIO

from cnn_engine.runlog.events import EpochFinished, TestFinished
from cnn_engine.runs.history import read_scalars, read_steps
from cnn_engine.storage.tfevents import write_header, write_scalars, write_text
from cnn_tui.exports.markdown import to_markdown
from cnn_tui.exports.record import Record, scalar_values
from cnn_tui.text.safe import escaped

FILE_NAME = "events.out.tfevents.{}.cnn-tui"
"""TensorBoard reads files with `tfevents` in their name."""


def write_tensorboard(record: Record, directory: Path) -> None:
    """Write the event files of a run, and remove those of an earlier export.

    Raises:
        OSError: the files cannot be written.
    """
    for earlier in directory.glob(f"*/{FILE_NAME.format('*')}"):
        earlier.unlink()
    splits = {"train": _write_train, "val": _write_val}
    if record.state.test:
        splits["test"] = _write_test
    if record.state.series:
        splits["series"] = _write_series
    started = record.summary.started
    for split, write in splits.items():
        folder = directory / split
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE_NAME.format(f"{started:.0f}")).open("wb") as out:
            write_header(out, started)
            write(record, out)


def _write_train(record: Record, out: BinaryIO) -> None:
    write_text(out, record.summary.started, "run", to_markdown(record))
    steps = record.state.steps_per_epoch
    for event in read_steps(record.run):
        values = {"loss": event.loss, "learning_rate": event.lr}
        write_scalars(out, event.time, (event.epoch - 1) * steps + event.step, values)
    for epoch in record.state.epochs:
        if not math.isnan(epoch.train_accuracy):
            values = {"accuracy": epoch.train_accuracy}
            write_scalars(out, epoch.time, record.state.end_of(epoch), values)


def _write_val(record: Record, out: BinaryIO) -> None:
    for epoch in record.state.epochs:
        loss = epoch.known_val_loss
        values = {} if loss is None else {"loss": loss}
        values |= _accuracies(record, epoch, epoch.val_accuracy)
        if values:
            write_scalars(out, epoch.time, record.state.end_of(epoch), values)


def _write_test(record: Record, out: BinaryIO) -> None:
    if test := record.state.test:
        values = {"loss": test.loss, **_accuracies(record, test, test.accuracy)}
        write_scalars(out, test.time, record.state.end_of(test), values)


def _write_series(record: Record, out: BinaryIO) -> None:
    for event in read_scalars(record.run, record.state.steps_per_epoch):
        values = {escaped(name, 200): value for name, value in scalar_values(event).items()}
        write_scalars(out, event.time, event.step, values)


def _accuracies(
    record: Record, counts: EpochFinished | TestFinished, overall: float
) -> dict[str, float]:
    """Return the known accuracies, overall and of each class, by TensorBoard tag."""
    by_class = zip(record.classes, counts.correct, counts.total, strict=False)
    return ({} if math.isnan(overall) else {"accuracy": overall}) | {
        f"accuracy_of_class/{escaped(name, 200)}": correct / total
        for name, correct, total in by_class
        if total
    }
