"""The figures of a test as plain values, for `--json`: the names are documented in RUNS.md."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from cnn_engine.results.metrics import Bin, ClassFigures, Rate, metrics_of
from cnn_engine.runlog.events import RunPrepared, TestFinished


def metrics_as_dict(test: TestFinished, prepared: RunPrepared | None) -> dict[str, Any]:
    """All that is said of a test."""
    figures = metrics_of(test, prepared)
    names = prepared.classes if prepared else ()
    return {
        "loss": test.loss,
        "accuracy": rate_as_dict(figures.accuracy),
        "macro": {
            "precision": figures.macro_precision,
            "recall": figures.macro_recall,
            "f1": figures.macro_f1,
        },
        "top5": figures.top5 and rate_as_dict(figures.top5),
        "tta": test.tta or None,
        "tta_accuracy": rate_as_dict(Rate(sum(test.tta_correct), figures.accuracy.images))
        if test.tta
        else None,
        "calibration_error": figures.calibration_error,
        "reliability": list(map(_bin_as_dict, figures.bins)),
        "commonest_class": None if figures.majority is None else _name(names, figures.majority),
        "commonest_class_accuracy": figures.baseline and rate_as_dict(figures.baseline),
        "classes": [
            _class_as_dict(name, of) for name, of in zip_longest(names, figures.classes) if of
        ],
        "confused": [
            {"truth": _name(names, truth), "predicted": _name(names, predicted), "images": images}
            for truth, predicted, images in figures.confused
        ],
    }


def rate_as_dict(rate: Rate) -> dict[str, Any]:
    """How many of some images are right, with the share's 95 % interval."""
    low, high = rate.interval or (None, None)
    return {
        "right": rate.right,
        "images": rate.images,
        "share": rate.share,
        "low": low,
        "high": high,
    }


def _class_as_dict(name: str | None, figures: ClassFigures) -> dict[str, Any]:
    return {
        "name": name,
        **rate_as_dict(figures.accuracy),
        "precision": figures.precision,
        "recall": figures.recall,
        "f1": figures.f1,
    }


def _bin_as_dict(row: Bin) -> dict[str, Any]:
    return {
        "above": row.above,
        "to": row.to,
        "images": row.rate.images,
        "right": row.rate.right,
        "share": row.rate.share,
        "mean_confidence": row.mean_confidence,
    }


def _name(names: Sequence[str], index: int) -> str | int:
    """A class's name; its number where a damaged log does not tell that."""
    return names[index] if 0 <= index < len(names) else index
