"""Facts and tables of a run, shared by the HTML and the Markdown report."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from cnn_engine.results.metrics import ClassMetrics, class_metrics, metrics_of, most_confused
from cnn_engine.runlog.best_metric import VAL_ACCURACY, VAL_LOSS, VAL_MACRO_F1
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.summary import RunSummary
from cnn_tui.exports.record import Record
from cnn_tui.text.events import tta_text
from cnn_tui.text.metrics import (
    ConfusedPair,
    MetricRow,
    bin_cells,
    confused_pair_texts,
    filled_bins,
    metric_rows,
)
from cnn_tui.text.numbers import decimal, duration, percent, utc
from cnn_tui.text.provenance import environment_values
from cnn_tui.text.safe import safe_text

MAX_NAME, MAX_TEXT = 60, 2000
MAX_EPOCHS = 40
MAX_PAIRS = 10

ENVIRONMENT_LABELS = {
    "images": "Digest of the images",
    "files": "Digest of the image files",
    "marks": "Marks on the images",
    "decoding": "Version of the decoding",
    "revision": "Git revision",
    "device": "Device",
    "precision": "Precision",
    "threads": "Threads",
    "processes": "Processes",
    "processor": "Processor",
}
"""Labels in a report, by name of an environment value; other values keep their names."""

Value = TypeVar("Value")


class Fact(NamedTuple):
    """One value of a run."""

    id: str
    """Stable name for code, such as `test_accuracy`; not shown."""

    label: str
    value: str
    """Safe on a terminal, but not yet escaped for any markup."""


class ClassResult(NamedTuple):
    """A class and its metrics."""

    name: str
    metrics: ClassMetrics


def run_title(record: Record) -> str:
    """Return preset, name and id of the run, joined by dots."""
    summary = record.summary
    names = [summary.preset, summary.name, record.run.id]
    return " · ".join(safe_text(name) for name in names if name)


def result_facts(record: Record) -> list[Fact]:
    """Return status, accuracies, losses and times of the run; empty values are left out."""
    summary, state = record.summary, record.state
    test = state.test
    found = [
        Fact("status", "Status", summary.status),
        Fact("error", "Error", safe_text(summary.error, MAX_TEXT)),
        Fact("test_accuracy", "Test accuracy", percent(test.accuracy, 2) if test else ""),
        Fact("tta_accuracy", "Test accuracy with TTA", (tta_text(test) or "") if test else ""),
        Fact("test_loss", "Test loss", decimal(test.loss) if test else ""),
        Fact("best_epoch", "Best epoch", _or_empty(summary.best_epoch, str)),
        *_validation_facts(state, summary),
        Fact("epochs", "Epochs", f"{summary.epochs_done} of {summary.epochs or '?'}"),
        Fact("seconds", "Time", duration(summary.seconds)),
        Fact("started", "Started", utc(summary.started)),
    ]
    if summary.damaged_lines:
        found.append(Fact("damaged_lines", "Damaged log lines", f"{summary.damaged_lines:,}"))
    return [fact for fact in found if fact.value]


def _validation_facts(state: RunState, summary: RunSummary) -> list[Fact]:
    """Return the values of the best epoch, of which one is the best of all epochs."""
    values = {
        VAL_LOSS: ("best_val_loss", _or_empty(summary.best_val_loss, decimal)),
        VAL_ACCURACY: (
            "best_val_accuracy",
            _or_empty(summary.best_val_accuracy, partial(percent, digits=2)),
        ),
    }
    if state.best and state.best_metric is VAL_MACRO_F1:
        values[VAL_MACRO_F1] = "best_val_macro_f1", decimal(state.best.val_macro_f1)
    return [
        Fact(
            id_,
            f"Best {metric.name}"
            if metric is state.best_metric
            else f"{metric.name[0].upper()}{metric.name[1:]} at best",
            value,
        )
        for metric, (id_, value) in values.items()
    ]


def environment_facts(record: Record) -> list[Fact]:
    """Return data set, model size, versions and machine of the run."""
    state, prepared = record.state, record.state.prepared
    found = []
    if prepared:
        counts = (prepared.train_images, prepared.val_images, prepared.test_images)
        found += [
            Fact("source", "Images", safe_text(prepared.source, MAX_TEXT)),
            Fact(
                "image_counts",
                "Train / validation / test images",
                " / ".join(f"{count:,}" for count in counts),
            ),
            Fact("image_shape", "Image shape", " × ".join(map(str, prepared.image_shape))),
            Fact("parameters", "Parameters", f"{prepared.parameters:,}"),
        ]
    if state.loop:
        found.append(Fact("framework", "Training loop", safe_text(state.loop.framework, MAX_TEXT)))
    known = _environment_in_events(record) | environment_values(state)
    revision = known.get("revision", "")
    if revision.isalnum():  # without a suffix, no tracked file differed from the commit
        known["revision"] = f"{revision} without changes"
    found += [
        Fact(name, ENVIRONMENT_LABELS.get(name, name), value) for name, value in known.items()
    ]
    found.append(Fact("host", "Machine", safe_text(state.host)))
    return [fact for fact in found if fact.value]


def _environment_in_events(record: Record) -> dict[str, str]:
    """Return the values that older logs record outside of `RunPrepared.environment`."""
    started, prepared = record.state.started, record.state.prepared
    known = {"cnn-tui": safe_text(started.version if started else "")}
    if prepared:
        known |= {
            "device": safe_text(prepared.device_name),
            "threads": str(prepared.threads) if prepared.device == "cpu" else "",
            "precision": safe_text(prepared.precision),
        }
    return known


def test_metric_rows(record: Record) -> list[MetricRow]:
    """Return the metrics of the final test, each with a remark; empty before the test."""
    test, prepared = record.state.test, record.state.prepared
    return metric_rows(metrics_of(test, prepared), record.classes) if test else []


def reliability_rows(record: Record) -> list[list[str]]:
    """Return the reliability table of the final test; columns are `BIN_HEADINGS`."""
    test, prepared = record.state.test, record.state.prepared
    return list(map(bin_cells, filled_bins(metrics_of(test, prepared)))) if test else []


def class_results(record: Record) -> tuple[str, list[ClassResult]]:
    """Return the name of the split and the metrics of each class, by `RunState.latest_counts`.

    Both are empty before the first validation.
    """
    counts = record.state.latest_counts
    if counts is None or not record.classes:
        return "", []
    metrics_by_class = class_metrics(counts.correct, counts.total, counts.confusion)
    images = "test" if record.state.test else f"validation after epoch {counts.epoch}"
    return images, [
        ClassResult(safe_text(name, MAX_NAME), metrics)
        for name, metrics in zip(record.classes, metrics_by_class, strict=False)
    ]


def confused_pairs(record: Record) -> list[ConfusedPair]:
    """Return the most frequent pairs of true and predicted class, by `RunState.latest_counts`."""
    counts = record.state.latest_counts
    if counts is None:
        return []
    pairs = most_confused(counts.confusion, MAX_PAIRS)
    return confused_pair_texts(pairs, counts.total, record.classes, MAX_NAME)


def listed_epochs(record: Record) -> list[int]:
    """Return indices into `record.state.epochs`, about `MAX_EPOCHS` at most.

    Longer runs are thinned evenly; the best and the last epoch are always included.
    """
    epochs = record.state.epochs
    step = -(-len(epochs) // MAX_EPOCHS)
    listed = set(range(0, len(epochs), step or 1))
    best = record.summary.best_epoch
    listed |= {index for index, epoch in enumerate(epochs) if epoch.epoch == best}
    return sorted(listed | ({len(epochs) - 1} if epochs else set()))


def _or_empty(value: Value | None, to_text: Callable[[Value], str]) -> str:
    return "" if value is None else to_text(value)


def notice_texts(record: Record) -> Sequence[str]:
    """Return the notices of the run, safe on a terminal."""
    return [safe_text(notice.text, MAX_TEXT) for notice in record.state.notices]
