"""How good a classifier is, from the counts that events hold: no image is needed, nor PyTorch."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cnn_engine.runlog.events import Bins, Confusion, RunPrepared, TestFinished

Z = 1.959963984540054
"""Standard deviations that 95 % of a normal distribution lie within, to either side."""

LEAST_CLASSES_FOR_TOP5 = 10
"""Of fewer classes, five answers hold the right one more often than not by mere guessing."""


class Interval(NamedTuple):
    """Where a rate truly lies, with 95 % confidence; 0 to 1."""

    low: float
    high: float


class Rate(NamedTuple):
    """How many of some images are right."""

    right: int
    images: int

    @property
    def share(self) -> float | None:
        """Share of them that is right, 0 to 1; None of no images."""
        return self.right / self.images if self.images > 0 else None

    @property
    def interval(self) -> Interval | None:
        """The 95 % score interval of E. B. Wilson (1927); None of no images.

        It is never outside 0 to 1, and good for few images and for shares near 0 and 1.
        """
        if self.images <= 0:
            return None
        share, images = self.right / self.images, self.images
        middle = share + Z**2 / (2 * images)
        reach = Z * math.sqrt(max(0.0, share * (1 - share) / images + Z**2 / (4 * images**2)))
        scale = 1 + Z**2 / images
        return Interval(max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale))


class ClassFigures(NamedTuple):
    """How well one class is told from the others; None where there is nothing to judge by."""

    accuracy: Rate
    """Of the images that are of this class."""

    precision: float | None
    """Share right of the images called this class, 0 to 1."""

    recall: float | None
    """Share right of the images that are of this class, 0 to 1: the accuracy's share."""

    f1: float | None
    """Harmonic mean of the two; 0 for a class whose images are all called otherwise."""


class Bin(NamedTuple):
    """A row of the reliability table."""

    above: float
    """Confidence that its images are above, 0 to 1."""

    to: float
    """Confidence that they reach at most."""

    rate: Rate
    mean_confidence: float | None
    """None of no images."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """All that is said of a test."""

    accuracy: Rate
    classes: tuple[ClassFigures, ...]
    macro_precision: float
    """Mean over the classes that an image is of or is called; none to judge by counts as 0."""

    macro_recall: float
    macro_f1: float
    top5: Rate | None
    """Images whose class is among the five likeliest; None where that says nothing."""

    bins: tuple[Bin, ...]
    """The reliability table; empty where the log, of an older version, has none."""

    mean_confidence: float | None
    """Over all images."""

    calibration_error: float | None
    """Mean gap between confidence and share right, weighted by images."""

    majority: int | None
    """The class that most images trained on are of; None where that is not known."""

    baseline: Rate | None
    """What always answering that class would have had right."""

    confused: Confusion
    """Pairs of classes, the one most often mistaken first."""


def metrics_of(test: TestFinished, prepared: RunPrepared | None) -> Metrics:
    """The figures of a run's test."""
    classes = class_figures(test.correct, test.total, test.confusion)
    judged = [of for of in classes if of.f1 is not None]
    images, places = sum(test.total), range(len(test.total))
    confusion = tuple(row for row in test.confusion if row[0] in places and row[1] in places)
    majority = _majority_class(prepared.train_counts if prepared else (), len(test.total))
    return Metrics(
        accuracy=Rate(sum(test.correct), images),
        classes=tuple(classes),
        macro_precision=_mean(of.precision for of in judged),
        macro_recall=_mean(of.recall for of in judged),
        macro_f1=_mean(of.f1 for of in judged),
        top5=None if test.top5 is None else Rate(test.top5, images),
        bins=_bins(test.bins),
        mean_confidence=_ratio(sum(of for *_, of in test.bins), sum(of for of, *_ in test.bins)),
        calibration_error=calibration_error(test.bins),
        majority=majority,
        baseline=None if majority is None else Rate(test.total[majority], images),
        confused=most_confused(confusion, len(confusion)),
    )


def class_figures(
    correct: Sequence[int], total: Sequence[int], confusion: Confusion
) -> list[ClassFigures]:
    """The figures of each class, [classes].

    Args:
        correct: Images classified right, per class.
        total: Images, per class.
        confusion: Images classified wrong, per pair of classes.
    """
    called = list(correct)
    for _, predicted, count in confusion:
        if 0 <= predicted < len(called):
            called[predicted] += count
    return [
        ClassFigures(
            accuracy=Rate(right, images),
            precision=_ratio(right, named),
            recall=_ratio(right, images),
            f1=_ratio(2 * right, named + images),
        )
        for right, named, images in zip(correct, called, total, strict=False)
    ]


def calibration_error(bins: Bins) -> float | None:
    """Expected calibration error of M. Naeini and others (2015), 0 to 1; None of no images."""
    images = sum(count for count, _, _ in bins)
    if images <= 0:
        return None
    return sum(abs(right - confidence) for _, right, confidence in bins) / images


def confusion_matrix(correct: Sequence[int], confusion: Confusion) -> list[list[int]]:
    """Images by true class (row) and predicted class (column), [classes][classes].

    Args:
        correct: Images classified right, per class.
        confusion: Images classified wrong, per pair; pairs of classes there are not are left out.
    """
    classes = len(correct)
    matrix = [[0] * classes for _ in correct]
    for index, count in enumerate(correct):
        matrix[index][index] = count
    for truth, predicted, count in confusion:
        if 0 <= truth < classes and 0 <= predicted < classes:
            matrix[truth][predicted] = count
    return matrix


def most_confused(confusion: Confusion, count: int) -> Confusion:
    """The `count` pairs with the most images, the most first; equals in the order of classes."""
    return tuple(sorted(confusion, key=lambda pair: -pair[2])[:count])


def _bins(bins: Bins) -> tuple[Bin, ...]:
    return tuple(
        Bin(place / len(bins), (place + 1) / len(bins), Rate(right, images), _ratio(sure, images))
        for place, (images, right, sure) in enumerate(bins)
    )


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole > 0 else None


def _mean(values: Iterable[float | None]) -> float:
    """As scikit-learn averages over classes: what there is nothing to judge by counts as 0."""
    known = [value or 0.0 for value in values]
    return sum(known) / len(known) if known else 0.0


def _majority_class(train_counts: Sequence[int], classes: int) -> int | None:
    """The class with the most images, the first of equals."""
    if not train_counts or len(train_counts) != classes:
        return None
    return max(range(classes), key=train_counts.__getitem__)
