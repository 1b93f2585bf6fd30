"""Texts for the metrics of a test."""

from collections.abc import Sequence
from typing import NamedTuple

from cnn_engine.results.metrics import Bin, ClassMetrics, Metrics, Rate
from cnn_engine.runlog.events import Confusion
from cnn_tui.text.numbers import decimal, percent, ratio
from cnn_tui.text.safe import class_name, safe_text

MAX_NAME_LENGTH = 24

CLASS_HEADINGS = ("accuracy", "95% interval", "images", "precision", "F1")
"""Headings of `class_cells`. The accuracy of a class is its recall."""

BIN_HEADINGS = ("confidence", "images", "mean confidence", "accuracy")
"""Headings of `bin_cells`."""

CALIBRATION_TOLERANCE = 0.005
"""Largest difference of mean confidence and accuracy that counts as well calibrated."""


class MetricRow(NamedTuple):
    """A metric as text."""

    name: str
    value: str
    remark: str
    """Explanation or confidence interval; may be empty."""


def metric_rows(metrics: Metrics, classes: tuple[str, ...]) -> list[MetricRow]:
    """Return the available metrics of a test."""
    accuracy = metrics.accuracy
    counts = f"{interval_text(accuracy)}, {accuracy.correct:,} of {accuracy.images:,}"
    rows = [MetricRow("accuracy", rate_text(accuracy), counts)]
    if metrics.top5:
        rows.append(MetricRow("top 5", rate_text(metrics.top5), interval_text(metrics.top5)))
    if metrics.baseline and metrics.majority_class is not None:
        name = class_name(classes, metrics.majority_class, MAX_NAME_LENGTH)
        rows.append(
            MetricRow(
                f"majority class ({name})", rate_text(metrics.baseline), _baseline_remark(metrics)
            )
        )
    parts = f"precision {metrics.macro.precision:.4f}, recall {metrics.macro.recall:.4f}"
    rows.append(MetricRow("macro F1", f"{metrics.macro.f1:.4f}", parts))
    if metrics.calibration_error is not None:
        error = percent(metrics.calibration_error, 2)
        rows.append(MetricRow("calibration error", error, _calibration_remark(metrics)))
    return rows


def metric_lines(metrics: Metrics, classes: tuple[str, ...]) -> list[str]:
    """Return the metrics except the accuracy as plain lines, one value each."""
    low, high = metrics.accuracy.interval or (0.0, 1.0)
    lines = [f"Test Accuracy (95% Interval): {percent(low, 2)} to {percent(high, 2)}"]
    if metrics.top5:
        lines.append(f"Test Accuracy (Top 5): {_rate_with_counts(metrics.top5)}")
    if metrics.baseline and metrics.majority_class is not None:
        name = class_name(classes, metrics.majority_class, MAX_NAME_LENGTH)
        lines.append(
            f"Test Accuracy (Majority Class {name}): {_rate_with_counts(metrics.baseline)}"
        )
    lines.append(f"Test Macro F1: {metrics.macro.f1:.4f}")
    if metrics.calibration_error is not None:
        lines.append(f"Test Calibration Error: {metrics.calibration_error:.4f}")
    return lines


class ConfusedPair(NamedTuple):
    """Texts for a pair of classes: images of the first are misclassified as the second."""

    target: str
    predicted: str
    images: str
    fraction: str
    """Percentage of the images of the target class."""


NO_IMAGE = "no image"
"""Text in place of the accuracy of a class without images."""


def class_cells(metrics: ClassMetrics) -> list[str]:
    """Return the metrics of a class for `CLASS_HEADINGS`."""
    return [
        rate_text(metrics.accuracy) if metrics.accuracy.images else NO_IMAGE,
        interval_text(metrics.accuracy, 1),
        f"{metrics.accuracy.correct:,}/{metrics.accuracy.images:,}",
        decimal(metrics.precision, 3),
        decimal(metrics.f1, 3),
    ]


def filled_bins(metrics: Metrics) -> list[Bin]:
    """Return the calibration bins that have images, the most confident first."""
    return [row for row in reversed(metrics.bins) if row.rate.images > 0]


def bin_cells(row: Bin) -> list[str]:
    """Return a calibration bin as cells for `BIN_HEADINGS`."""
    return [
        confidence_text(row),
        f"{row.rate.images:,}",
        percent(row.mean_confidence or 0.0),
        percent(row.rate.fraction or 0.0),
    ]


def confused_pair_texts(
    confused: Confusion,
    total: Sequence[int],
    classes: Sequence[str],
    max_length: int = MAX_NAME_LENGTH,
) -> list[ConfusedPair]:
    """Return confused pairs as text, without pairs of unknown classes.

    Args:
        confused: Target, prediction and number of images of each pair.
        total: Images per class.
        classes: Names of the classes.
        max_length: Maximum characters of a name.
    """
    known = range(min(len(classes), len(total)))
    return [
        ConfusedPair(
            safe_text(classes[target], max_length),
            safe_text(classes[predicted], max_length),
            f"{images:,}",
            percent(ratio(images, total[target])),
        )
        for target, predicted, images in confused
        if target in known and predicted in known
    ]


def rate_text(rate: Rate) -> str:
    """Return `78.11%`; a dash without images."""
    return "–" if rate.fraction is None else percent(rate.fraction, 2)


def interval_text(rate: Rate, digits: int = 2) -> str:
    """Return `77.29–78.91%`, the 95 % interval; a dash without images."""
    if rate.interval is None:
        return "–"
    low, high = (f"{100 * edge:.{digits}f}" for edge in rate.interval)
    return f"{low}–{high}%"


def out_of_images_text(rate: Rate) -> str:
    """Return `78.11% of 1,438 images, 95% interval 77.29–78.91%`."""
    return f"{rate_text(rate)} of {rate.images:,} images, 95% interval {interval_text(rate)}"


def confidence_text(row: Bin) -> str:
    """Return `80–90%`, the confidence range of a calibration bin."""
    return f"{100 * row.above:.0f}–{100 * row.to:.0f}%"


def _baseline_remark(metrics: Metrics) -> str:
    """Return `baseline, 40.0 points below`: the baseline's difference from the accuracy.

    The difference is significant if the baseline is outside the accuracy's 95 % interval.
    """
    baseline, interval = metrics.baseline, metrics.accuracy.interval
    if baseline is None or baseline.fraction is None or interval is None:
        return ""
    if baseline.fraction == 1:
        return "baseline; all test images are of this class"
    if interval.low <= baseline.fraction <= interval.high:
        return "baseline; the accuracy is not clearly better"
    points = 100 * (baseline.fraction - (metrics.accuracy.fraction or 0.0))
    return f"baseline, {abs(points):.1f} points {'above' if points > 0 else 'below'} the accuracy"


def _calibration_remark(metrics: Metrics) -> str:
    """Return `overconfident: mean confidence 83.0%, accuracy 78.1%`; empty if unknown."""
    confidence, accuracy = metrics.mean_confidence, metrics.accuracy.fraction
    if confidence is None or accuracy is None:
        return ""
    verdict = "well calibrated"
    if abs(confidence - accuracy) > CALIBRATION_TOLERANCE:
        verdict = "overconfident" if confidence > accuracy else "underconfident"
    return f"{verdict}: mean confidence {percent(confidence)}, accuracy {percent(accuracy)}"


def _rate_with_counts(rate: Rate) -> str:
    return f"{rate_text(rate)} ({rate.correct}/{rate.images})"
