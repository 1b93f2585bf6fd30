"""What a report says of a run besides its curves: the same lines in every kind of report."""

from collections.abc import Sequence
from typing import NamedTuple

from cnn_engine.events import Confusion
from cnn_engine.metrics import class_figures, most_confused
from cnn_tui.exports.record import Record
from cnn_tui.format import duration, figure, percent, ratio, safe_text, utc

LONGEST_NAME, LONGEST_TEXT = 60, 2000
MOST_EPOCHS = 40
MOST_PAIRS = 10


class Fact(NamedTuple):
    """A line of a table."""

    name: str
    value: str
    """Harmless on a terminal, but not yet escaped for any markup."""


class ClassRow(NamedTuple):
    """How well a class is told apart; None where there is nothing to judge by."""

    name: str
    accuracy: float | None
    precision: float | None
    images: int


def title(record: Record) -> str:
    """What the run is called."""
    summary = record.summary
    names = [summary.preset, summary.name, record.run.id]
    return " · ".join(safe_text(name) for name in names if name)


def figures(record: Record) -> list[Fact]:
    """What the run came to."""
    summary, state = record.summary, record.state
    best, test = state.best, state.test
    found = [
        Fact("Status", summary.status),
        Fact("Error", safe_text(summary.error, LONGEST_TEXT)),
        Fact("Test accuracy", percent(test.accuracy, 2) if test else ""),
        Fact("Test loss", figure(test.loss) if test else ""),
        Fact("Best epoch", str(best.epoch) if best else ""),
        Fact("Its validation loss", figure(best.val_loss) if best else ""),
        Fact("Its validation accuracy", percent(best.val_accuracy, 2) if best else ""),
        Fact("Epochs", f"{summary.epochs_done} of {summary.epochs or '?'}"),
        Fact("Time", duration(summary.seconds)),
        Fact("Started", utc(summary.started)),
    ]
    if summary.damaged_lines:
        found.append(Fact("Damaged lines of the log", f"{summary.damaged_lines:,}"))
    return [fact for fact in found if fact.value]


def environment(record: Record) -> list[Fact]:
    """On what, with what, and where it was trained."""
    state, prepared = record.state, record.state.prepared
    found = [Fact("cnn-tui", safe_text(state.started.version if state.started else ""))]
    if prepared:
        counts = (prepared.train_images, prepared.val_images, prepared.test_images)
        found += [
            Fact("Images", safe_text(prepared.source, LONGEST_TEXT)),
            Fact("Train, validation, test", " / ".join(f"{count:,}" for count in counts)),
            Fact("Image", " × ".join(map(str, prepared.image_shape))),
            Fact("Parameters", f"{prepared.parameters:,}"),
            Fact("Device", safe_text(prepared.device_name)),
            Fact("Threads", str(prepared.threads) if prepared.device == "cpu" else ""),
            Fact("Precision", safe_text(prepared.precision)),
        ]
    found.append(Fact("Machine", safe_text(state.host)))
    return [fact for fact in found if fact.value]


def class_rows(record: Record) -> tuple[str, list[ClassRow]]:
    """On which images, and each class: in the test, or before it in the last validation."""
    counts = record.state.test or (record.state.epochs[-1] if record.state.epochs else None)
    if counts is None or not record.classes:
        return "", []
    qualities = class_figures(counts.correct, counts.total, counts.confusion)
    where = "test" if record.state.test else f"validation after epoch {counts.epoch}"
    return where, [
        ClassRow(safe_text(name, LONGEST_NAME), quality.recall, quality.precision, total)
        for name, quality, total in zip(record.classes, qualities, counts.total, strict=False)
    ]


def confusion_of(record: Record) -> Confusion:
    """Images of one class taken for another, where the same counts tell of it."""
    counts = record.state.test or (record.state.epochs[-1] if record.state.epochs else None)
    return counts.confusion if counts else ()


def confused_pairs(record: Record) -> list[tuple[str, str, int, float]]:
    """True class, taken for, images, and their share of the true class: the most frequent."""
    rows, (_, classes) = [], class_rows(record)
    for truth, predicted, count in most_confused(confusion_of(record), MOST_PAIRS):
        if 0 <= truth < len(classes) and 0 <= predicted < len(classes):
            share = ratio(count, classes[truth].images)
            rows.append((classes[truth].name, classes[predicted].name, count, share))
    return rows


def shown_epochs(record: Record) -> list[int]:
    """Indices of the epochs to list: all, or of many evenly some, with the best and the last."""
    epochs = record.state.epochs
    step = -(-len(epochs) // MOST_EPOCHS)
    chosen = set(range(0, len(epochs), step or 1))
    best = record.summary.best_epoch
    chosen |= {index for index, epoch in enumerate(epochs) if epoch.epoch == best}
    return sorted(chosen | ({len(epochs) - 1} if epochs else set()))


def notices(record: Record) -> Sequence[str]:
    """What its user should know."""
    return [safe_text(notice.text, LONGEST_TEXT) for notice in record.state.notices]
