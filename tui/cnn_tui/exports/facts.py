"""What a report says of a run besides its curves: the same lines in every kind of report."""

from collections.abc import Sequence
from typing import NamedTuple

from cnn_engine.results.metrics import ClassFigures, class_figures, metrics_of, most_confused
from cnn_engine.runlog.events import EpochFinished, TestFinished
from cnn_tui.exports.record import Record
from cnn_tui.text.events import tta_text
from cnn_tui.text.metrics import FigureRow, PairRow, bin_cells, figure_rows, filled_bins, pair_rows
from cnn_tui.text.numbers import duration, figure, percent, utc
from cnn_tui.text.provenance import environment_values
from cnn_tui.text.safe import safe_text

MAX_NAME, MAX_TEXT = 60, 2000
MAX_EPOCHS = 40
MAX_PAIRS = 10

ENVIRONMENT_LABELS = {
    "images": "Digest of the images",
    "revision": "Git revision",
    "device": "Device",
    "precision": "Precision",
    "threads": "Threads",
    "processor": "Processor",
}
"""What a report calls them; programs keep their names."""


class Fact(NamedTuple):
    """A line of a table."""

    name: str
    value: str
    """Harmless on a terminal, but not yet escaped for any markup."""


class ClassResult(NamedTuple):
    """How well a class is told apart."""

    name: str
    metrics: ClassFigures


def run_title(record: Record) -> str:
    """What the run is called."""
    summary = record.summary
    names = [summary.preset, summary.name, record.run.id]
    return " · ".join(safe_text(name) for name in names if name)


def result_facts(record: Record) -> list[Fact]:
    """What the run came to."""
    summary, state = record.summary, record.state
    best, test = state.best, state.test
    found = [
        Fact("Status", summary.status),
        Fact("Error", safe_text(summary.error, MAX_TEXT)),
        Fact("Test accuracy", percent(test.accuracy, 2) if test else ""),
        Fact("Test accuracy, augmented", (tta_text(test) or "") if test else ""),
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


def environment_facts(record: Record) -> list[Fact]:
    """On what, with what, and where it was trained."""
    state, prepared = record.state, record.state.prepared
    found = []
    if prepared:
        counts = (prepared.train_images, prepared.val_images, prepared.test_images)
        found += [
            Fact("Images", safe_text(prepared.source, MAX_TEXT)),
            Fact("Train, validation, test", " / ".join(f"{count:,}" for count in counts)),
            Fact("Image", " × ".join(map(str, prepared.image_shape))),
            Fact("Parameters", f"{prepared.parameters:,}"),
        ]
    known = _known_before(record) | environment_values(state)
    if revision := known.get("revision"):
        known["revision"] = revision if " with " in revision else f"{revision} without changes"
    found += [Fact(ENVIRONMENT_LABELS.get(name, name), value) for name, value in known.items()]
    found.append(Fact("Machine", safe_text(state.host)))
    return [fact for fact in found if fact.value]


def _known_before(record: Record) -> dict[str, str]:
    """The part of the environment that logs told of before they held it as a whole."""
    started, prepared = record.state.started, record.state.prepared
    known = {"cnn-tui": safe_text(started.version if started else "")}
    if prepared:
        known |= {
            "device": safe_text(prepared.device_name),
            "threads": str(prepared.threads) if prepared.device == "cpu" else "",
            "precision": safe_text(prepared.precision),
        }
    return known


def test_metric_rows(record: Record) -> list[FigureRow]:
    """The figures of the test with what they mean; none before it."""
    test, prepared = record.state.test, record.state.prepared
    return figure_rows(metrics_of(test, prepared), record.classes) if test else []


def reliability_rows(record: Record) -> list[list[str]]:
    """The reliability table of the test, as `BIN_HEADINGS` name its columns."""
    test, prepared = record.state.test, record.state.prepared
    return list(map(bin_cells, filled_bins(metrics_of(test, prepared)))) if test else []


def latest_counts(record: Record) -> TestFinished | EpochFinished | None:
    """What the classes are judged by: the test, or before it the last validation."""
    state = record.state
    return state.test or (state.validated[-1] if state.validated else None)


def class_results(record: Record) -> tuple[str, list[ClassResult]]:
    """On which images, and each class: in the test, or before it in the last validation."""
    counts = latest_counts(record)
    if counts is None or not record.classes:
        return "", []
    figures_by_class = class_figures(counts.correct, counts.total, counts.confusion)
    where = "test" if record.state.test else f"validation after epoch {counts.epoch}"
    return where, [
        ClassResult(safe_text(name, MAX_NAME), of)
        for name, of in zip(record.classes, figures_by_class, strict=False)
    ]


def confused_pairs(record: Record) -> list[PairRow]:
    """The pairs of classes with the most images, of the same counts."""
    counts = latest_counts(record)
    if counts is None:
        return []
    pairs = most_confused(counts.confusion, MAX_PAIRS)
    return pair_rows(pairs, counts.total, record.classes, MAX_NAME)


def listed_epochs(record: Record) -> list[int]:
    """Indices of the epochs to list: all, or of many evenly some, with the best and the last."""
    epochs = record.state.epochs
    step = -(-len(epochs) // MAX_EPOCHS)
    chosen = set(range(0, len(epochs), step or 1))
    best = record.summary.best_epoch
    chosen |= {index for index, epoch in enumerate(epochs) if epoch.epoch == best}
    return sorted(chosen | ({len(epochs) - 1} if epochs else set()))


def notice_texts(record: Record) -> Sequence[str]:
    """What its user should know."""
    return [safe_text(notice.text, MAX_TEXT) for notice in record.state.notices]
