"""The metric of validations that selects the best epoch, `train.best` in the config."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cnn_engine.runlog.events import Confusion, EpochFinished


@dataclass(frozen=True, kw_only=True)
class BestMetric:
    """A metric by which epochs are compared; all that depends on its direction is here."""

    key: str
    """Value of `train.best`."""

    name: str
    """Name in sentences."""

    short: str
    """Name in a narrow place."""

    is_higher_better: bool

    value_of: Callable[[EpochFinished], float]
    """Returns the value of an epoch; NaN if it has none, or may not be the best."""

    @property
    def worst(self) -> float:
        """Value that every other one is better than."""
        return -math.inf if self.is_higher_better else math.inf

    @property
    def extreme(self) -> str:
        """Return `highest` or `lowest`, whichever is the best."""
        return "highest" if self.is_higher_better else "lowest"

    def is_better(self, value: float, other: float) -> bool:
        """Return True if a later value is at least as good; False if one of them is NaN."""
        return value >= other if self.is_higher_better else value <= other

    def bests(self, epochs: Iterable[EpochFinished]) -> list[EpochFinished]:
        """Return the epochs that were the best so far, in order; the last one is the best."""
        bests, best = [], self.worst
        for epoch in epochs:
            value = self.value_of(epoch)
            if self.is_better(value, best):
                bests.append(epoch)
                best = value
        return bests


def _of_finite_loss(value: Callable[[EpochFinished], float]) -> Callable[[EpochFinished], float]:
    """Return a function that is NaN for epochs whose validation loss is not finite."""
    return lambda epoch: value(epoch) if math.isfinite(epoch.val_loss) else math.nan


VAL_LOSS = BestMetric(
    key="val_loss",
    name="validation loss",
    short="val loss",
    is_higher_better=False,
    value_of=lambda epoch: epoch.val_loss,
)
VAL_ACCURACY = BestMetric(
    key="val_accuracy",
    name="validation accuracy",
    short="val accuracy",
    is_higher_better=True,
    value_of=_of_finite_loss(lambda epoch: epoch.val_accuracy),
)
VAL_MACRO_F1 = BestMetric(
    key="val_macro_f1",
    name="validation macro F1",
    short="val macro F1",
    is_higher_better=True,
    value_of=_of_finite_loss(
        lambda epoch: math.nan if epoch.val_macro_f1 is None else epoch.val_macro_f1
    ),
)


def best_metric(key: object) -> BestMetric:
    """Return the metric of a value of `train.best`; older configs, which lack it, have the loss."""
    return next((each for each in (VAL_ACCURACY, VAL_MACRO_F1) if each.key == key), VAL_LOSS)


def f1_scores(
    correct: Sequence[int], total: Sequence[int], confusion: Confusion
) -> list[float | None]:
    """Return the F1 of each class; None if it is neither a target nor a prediction.

    Args:
        correct: Correct images per class.
        total: Images per class.
        confusion: Misclassified images per pair of true and predicted class.
    """
    both = zip(correct, predicted_counts(correct, confusion), total, strict=False)
    return [
        2 * right / (predicted + images) if predicted + images > 0 else None
        for right, predicted, images in both
    ]


def predicted_counts(correct: Sequence[int], confusion: Confusion) -> list[int]:
    """Return the number of images predicted as each class; arguments are those of `f1_scores`."""
    counts = list(correct)
    for _, predicted, count in confusion:
        if 0 <= predicted < len(counts):
            counts[predicted] += count
    return counts


def macro_f1(correct: Sequence[int], total: Sequence[int], confusion: Confusion) -> float:
    """Return the mean F1 of the classes that occur or are predicted; 0 without any.

    Arguments are those of `f1_scores`.
    """
    return mean(score for score in f1_scores(correct, total, confusion) if score is not None)


def mean(values: Iterable[float]) -> float:
    """Return the mean; 0 without values."""
    known = list(values)
    return sum(known) / len(known) if known else 0.0
