"""Metrics of a test as plain values for `--json`; the keys are documented in RUNS.md."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from cnn_engine.results.metrics import Bin, ClassMetrics, Metrics, Rate, metrics_of
from cnn_engine.runlog.events import RunPrepared, TestFinished

KEYS = {
    "bins": "reliability",
    "majority_class": "commonest_class",
    "baseline": "commonest_class_accuracy",
    "confused_pairs": "confused",
}
"""JSON keys of the fields of `Metrics` that are not named like the field."""

OMITTED = frozenset({"mean_confidence"})


def metrics_as_dict(test: TestFinished, prepared: RunPrepared | None) -> dict[str, Any]:
    """Return all metrics of a test by JSON key."""
    metrics = metrics_of(test, prepared)
    names = prepared.classes if prepared else ()
    values = {field.name: _as_plain(getattr(metrics, field.name)) for field in fields(metrics)}
    values |= _with_names(metrics, names)
    return {KEYS.get(name, name): value for name, value in values.items() if name not in OMITTED}


def rate_as_dict(rate: Rate) -> dict[str, Any]:
    """Return a rate with its fraction and the ends of its 95 % interval."""
    low, high = rate.interval or (None, None)
    return {
        "right": rate.correct,
        "images": rate.images,
        "share": rate.fraction,
        "low": low,
        "high": high,
    }


def _as_plain(value: Any) -> Any:  # noqa: ANN401 - a field of `Metrics`
    match value:
        case Rate():
            return rate_as_dict(value)
        case Bin():
            return _bin_as_dict(value)
        case tuple() if hasattr(value, "_asdict"):
            return {name: _as_plain(item) for name, item in value._asdict().items()}
        case tuple():
            return list(map(_as_plain, value))
    return value


def _with_names(metrics: Metrics, names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `Metrics` in which class indices are replaced by names."""
    majority = metrics.majority_class
    return {
        "majority_class": None if majority is None else _name(names, majority),
        "classes": [
            _class_as_dict(names[label] if label < len(names) else None, class_metrics)
            for label, class_metrics in enumerate(metrics.classes)
        ],
        "confused_pairs": [
            {"truth": _name(names, target), "predicted": _name(names, predicted), "images": images}
            for target, predicted, images in metrics.confused_pairs
        ],
    }


def _class_as_dict(name: str | None, metrics: ClassMetrics) -> dict[str, Any]:
    return {
        "name": name,
        **rate_as_dict(metrics.accuracy),
        "precision": metrics.precision,
        "recall": metrics.recall,
        "f1": metrics.f1,
    }


def _bin_as_dict(row: Bin) -> dict[str, Any]:
    return {
        "above": row.above,
        "to": row.to,
        "images": row.rate.images,
        "right": row.rate.correct,
        "share": row.rate.fraction,
        "mean_confidence": row.mean_confidence,
    }


def _name(names: Sequence[str], index: int) -> str | int:
    """Return the name of a class, or its index if a damaged log lacks the name."""
    return names[index] if 0 <= index < len(names) else index
