"""Metrics of a classifier, computed from the counts in events, without images or PyTorch.

A metric is a field of `Metrics` and its computation in `metrics_of`; `metrics_json.py` writes every
field.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cnn_engine.runlog.best_metric import f1_scores, mean, predicted_counts
from cnn_engine.runlog.events import Bins, Confusion, RunPrepared, TestFinished

Z = 1.959963984540054
"""Quantile of the normal distribution for two-sided 95 % intervals."""

MIN_CLASSES_FOR_TOP5 = 10
"""With fewer classes, five guesses contain the true class at least half of the time."""


class Interval(NamedTuple):
    """95 % confidence interval of a rate, 0 to 1."""

    low: float
    high: float


class Rate(NamedTuple):
    """Number of correctly classified images out of all."""

    correct: int
    images: int

    @property
    def fraction(self) -> float | None:
        """Fraction correct, 0 to 1; None without images."""
        return self.correct / self.images if self.images > 0 else None

    @property
    def interval(self) -> Interval | None:
        """95 % score interval (E. B. Wilson, 1927); None without images.

        It stays within 0 to 1 and is accurate for few images and for fractions near 0 and 1.
        """
        if self.images <= 0:
            return None
        fraction, images = self.correct / self.images, self.images
        center = fraction + Z**2 / (2 * images)
        variance = fraction * (1 - fraction) / images + Z**2 / (4 * images**2)
        margin = Z * math.sqrt(max(0.0, variance))
        scale = 1 + Z**2 / images
        return Interval(max(0.0, (center - margin) / scale), min(1.0, (center + margin) / scale))


class ClassMetrics(NamedTuple):
    """Metrics of one class; None where the denominator is 0."""

    accuracy: Rate
    """Correct images of this class."""

    precision: float | None
    """Fraction correct of the images predicted as this class, 0 to 1."""

    recall: float | None
    """Fraction correct of the images of this class, 0 to 1; equals the accuracy's fraction."""

    f1: float | None
    """Harmonic mean of precision and recall; 0 if no image of the class is predicted as it."""


class MacroAverages(NamedTuple):
    """Unweighted means over the classes that occur as target or prediction; undefined is 0."""

    precision: float
    recall: float
    f1: float


class Bin(NamedTuple):
    """A row of the reliability table: images with a confidence in (above, to]."""

    above: float
    to: float
    rate: Rate

    mean_confidence: float | None
    """None without images."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Metrics of a test."""

    loss: float
    """Mean cross-entropy."""

    accuracy: Rate
    macro: MacroAverages

    top5: Rate | None
    """Images whose class is among the five most probable; None with too few classes."""

    tta: str | None
    """Kind of test-time augmentation of a second test; None without one."""

    tta_accuracy: Rate | None
    """Accuracy of the test with test-time augmentation."""

    calibration_error: float | None
    """Expected calibration error, 0 to 1."""

    bins: tuple[Bin, ...]
    """Reliability table; empty if the log was written by an older version."""

    majority_class: int | None
    """Index of the class with the most training images; None if unknown."""

    baseline: Rate | None
    """Accuracy of always predicting the majority class."""

    classes: tuple[ClassMetrics, ...]

    confused_pairs: Confusion
    """Pairs of true and predicted class with their images, the most frequent first."""

    mean_confidence: float | None
    """Mean over all images, 0 to 1."""


def metrics_of(test: TestFinished, prepared: RunPrepared | None) -> Metrics:
    """Compute the metrics of a run's test; without `prepared` there is no baseline."""
    images, labels = sum(test.total), range(len(test.total))
    classes = class_metrics(test.correct, test.total, test.confusion)
    confusion = tuple(pair for pair in test.confusion if pair[0] in labels and pair[1] in labels)
    majority_class = _majority_class(prepared.train_counts if prepared else (), len(test.total))
    return Metrics(
        loss=test.loss,
        accuracy=Rate(sum(test.correct), images),
        macro=_macro_averages(classes),
        top5=None if test.top5 is None else Rate(test.top5, images),
        tta=test.tta or None,
        tta_accuracy=Rate(sum(test.tta_correct), images) if test.tta else None,
        calibration_error=calibration_error(test.bins),
        bins=_bins(test.bins),
        majority_class=majority_class,
        baseline=None if majority_class is None else Rate(test.total[majority_class], images),
        classes=tuple(classes),
        confused_pairs=most_confused(confusion, len(confusion)),
        mean_confidence=_ratio(
            sum(confidence for *_, confidence in test.bins), sum(count for count, *_ in test.bins)
        ),
    )


def class_metrics(
    correct: Sequence[int], total: Sequence[int], confusion: Confusion
) -> list[ClassMetrics]:
    """Compute the metrics of each class, [classes].

    Args:
        correct: Correct images per class.
        total: Images per class.
        confusion: Misclassified images per pair of true and predicted class.
    """
    predicted_as, f1 = predicted_counts(correct, confusion), f1_scores(correct, total, confusion)
    return [
        ClassMetrics(
            accuracy=Rate(right, images),
            precision=_ratio(right, predicted),
            recall=_ratio(right, images),
            f1=score,
        )
        for right, predicted, images, score in zip(correct, predicted_as, total, f1, strict=False)
    ]


def calibration_error(bins: Bins) -> float | None:
    """Return the expected calibration error (M. Naeini et al., 2015), 0 to 1; None without images.

    It is the gap between mean confidence and fraction correct, averaged over the bins' images.
    """
    images = sum(count for count, _, _ in bins)
    if images <= 0:
        return None
    return sum(abs(correct - confidence) for _, correct, confidence in bins) / images


def confusion_matrix(correct: Sequence[int], confusion: Confusion) -> list[list[int]]:
    """Return images by true class (row) and predicted class (column), [classes][classes].

    Args:
        correct: Correct images per class.
        confusion: Misclassified images per pair; pairs with an unknown class are left out.
    """
    classes = len(correct)
    matrix = [[0] * classes for _ in correct]
    for index, count in enumerate(correct):
        matrix[index][index] = count
    for target, predicted, count in confusion:
        if 0 <= target < classes and 0 <= predicted < classes:
            matrix[target][predicted] = count
    return matrix


def most_confused(confusion: Confusion, count: int) -> Confusion:
    """Return the `count` pairs with the most images, in descending order; ties by class."""
    return tuple(sorted(confusion, key=lambda pair: -pair[2])[:count])


def _macro_averages(classes: Sequence[ClassMetrics]) -> MacroAverages:
    """Return the means with undefined values as 0, as scikit-learn's macro averages are."""
    occurring = [metrics for metrics in classes if metrics.f1 is not None]
    return MacroAverages(
        precision=mean(metrics.precision or 0.0 for metrics in occurring),
        recall=mean(metrics.recall or 0.0 for metrics in occurring),
        f1=mean(metrics.f1 or 0.0 for metrics in occurring),
    )


def _bins(bins: Bins) -> tuple[Bin, ...]:
    count = len(bins)
    return tuple(
        Bin(index / count, (index + 1) / count, Rate(correct, images), _ratio(confidence, images))
        for index, (images, correct, confidence) in enumerate(bins)
    )


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole > 0 else None


def _majority_class(train_counts: Sequence[int], classes: int) -> int | None:
    """Return the class with the most images, the first of equals."""
    if not train_counts or len(train_counts) != classes:
        return None
    return max(range(classes), key=train_counts.__getitem__)
