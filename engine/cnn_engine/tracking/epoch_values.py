"""Values of the epoch that a loop is in, from which its `EpochFinished` is made."""

import math
from collections.abc import Iterable

from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.roles import MAX_FRACTION, MAX_PERCENT, Role
from cnn_engine.runlog.window import Totals
from cnn_engine.tracking.counts import Counts

VALIDATION_ROLES = ("val_loss", "val_accuracy")


class EpochValues:
    """Losses and accuracies of one epoch."""

    def __init__(self, began: float) -> None:
        self.began = self.trained = began
        """Times at which the epoch began, and of its last training step."""
        self._train: dict[Role, Totals] = {}
        self._validation: dict[Role, Totals] = {}
        self.counts: Counts | None = None
        self._other_validation: set[str] = set()
        """Series of the validation without a role."""
        self._is_outdated = False
        """True if training has gone on since the validation, if there was one."""

    def add(self, role: Role, value: float, time: float) -> None:
        """Add the value of a series with a role."""
        if role in VALIDATION_ROLES:
            self._begin_validation()
            values = self._validation
        else:
            self.trained, self._is_outdated = time, True
            values = self._train
        totals = values.get(role)
        if totals is None:
            totals = values[role] = Totals()
        totals.add(value)

    def add_counts(self, counts: Counts) -> None:
        """Add the counts of a validation, or of one of its batches."""
        self._begin_validation()
        self.counts = self.counts + counts if self.counts else counts

    def note_validation(self, names: Iterable[str]) -> None:
        """Take note of series of a validation, which need not have a role."""
        self._begin_validation()
        self._other_validation.update(names)

    def has_validated(self, names: Iterable[str]) -> bool:
        """Return True if one of these series was noted in the validation."""
        return not self._other_validation.isdisjoint(names)

    def _begin_validation(self) -> None:
        """Forget a validation that was followed by training: the last one is the epoch's."""
        if self._is_outdated:
            self._is_outdated = False
            self._validation.clear()
            self._other_validation.clear()
            self.counts = None

    @property
    def parts(self) -> frozenset[str]:
        """Parts of the validation that are known."""
        return frozenset((*self._validation, *(("counts",) if self.counts else ())))

    @property
    def has_validation(self) -> bool:
        """True if any part of the validation is known."""
        return bool(self._validation) or self.counts is not None or bool(self._other_validation)

    @property
    def is_empty(self) -> bool:
        """True if nothing is known of the epoch."""
        return not (self._train or self.has_validation)

    def finished(self, epoch: int, time: float, percent: "Percent") -> EpochFinished:
        """Return the end of the epoch at a time."""
        counts = self.counts or Counts((), (), ())
        trained = self.trained if self._train else time
        accuracy = percent.fraction(_mean(self._validation, "val_accuracy"))
        return EpochFinished(
            epoch=epoch,
            train_loss=_mean(self._train, "train_loss"),
            train_accuracy=percent.fraction(_mean(self._train, "train_accuracy")),
            val_loss=_mean(self._validation, "val_loss"),
            correct=counts.correct,
            total=counts.total,
            confusion=counts.confusion,
            accuracy=None if counts.total or math.isnan(accuracy) else accuracy,
            train_seconds=max(0.0, trained - self.began),
            val_seconds=max(0.0, time - trained) if self.has_validation else 0.0,
        )


def _mean(values: dict[Role, Totals], role: Role) -> float:
    """Return a mean, which is finite if the last value is."""
    return values[role].latest_mean if role in values else math.nan


class Percent:
    """Converts accuracies to fractions; they are in percent if any has been above 1."""

    def __init__(self, *, is_percent: bool = False) -> None:
        """Begin a session; `is_percent` is that of the one before."""
        self.is_percent = is_percent

    def see(self, accuracy: float) -> None:
        """Take note of an accuracy as it was logged."""
        self.is_percent |= MAX_FRACTION < accuracy <= MAX_PERCENT

    def fraction(self, accuracy: float) -> float:
        """Return an accuracy from 0 to 1; NaN if it is none."""
        value = accuracy / 100 if self.is_percent else accuracy
        return value if 0 <= value <= MAX_FRACTION else math.nan
