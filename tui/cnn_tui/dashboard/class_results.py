"""Results by class, of the last validation or the test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from cnn_engine.runlog.events import Confusion, EpochFinished
from cnn_engine.runlog.state import RunState
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.safe import safe_text
from cnn_tui.text.width import widest

Order: TypeAlias = Literal["as given", "worst first", "by name"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True, kw_only=True)
class ClassResults:
    """Counts by class of an evaluation and of earlier epochs. All tuples are indexed by class."""

    title: str
    """Title of the evaluation, with its accuracy."""

    names: tuple[str, ...]
    """Class names; not yet safe for the terminal."""

    correct: tuple[int, ...]
    total: tuple[int, ...]
    confusion: Confusion
    previous_correct: tuple[int, ...]
    """Correct in the previous epoch; equal to `correct` for the test and the first epoch."""

    is_final: bool
    """True for the test, which has no earlier results."""

    epochs: Sequence[EpochFinished]
    """Validated epochs."""

    best_correct: tuple[int, ...]
    """Correct in the best earlier epoch; equal to `correct` if there is none."""

    def accuracy(self, index: int) -> float:
        """Return the accuracy of a class (its recall); NaN without images."""
        return ratio(self.correct[index], self.total[index], math.nan)


def latest_results(state: RunState) -> ClassResults | None:
    """Return the results of the test or else of the last validation; None before the first."""
    counts = state.latest_counts
    if counts is None or not counts.total:
        return None
    names = state.classes[: len(counts.total)]
    if test := state.test:
        return ClassResults(
            title=f"test {percent(test.accuracy, 2)}",
            names=names,
            correct=test.correct,
            total=test.total,
            confusion=test.confusion,
            is_final=True,
            epochs=state.validated_epochs,
            previous_correct=test.correct,
            best_correct=test.correct,
        )
    *earlier, last = state.validated_epochs
    best = next(reversed(state.best_metric.bests(earlier)), last)
    return ClassResults(
        title=f"validation {percent(last.val_accuracy)}, epoch {last.epoch}",
        names=names,
        correct=last.correct,
        total=last.total,
        confusion=last.confusion,
        is_final=False,
        epochs=[*earlier, last],
        previous_correct=earlier[-1].correct if earlier else last.correct,
        best_correct=best.correct,
    )


def sorted_indices(results: ClassResults, order: Order) -> list[int]:
    """Return the indices of the classes in an order."""
    indices = list(range(len(results.names)))
    if order == "worst first":
        indices.sort(key=lambda index: (not results.total[index], results.accuracy(index)))
    elif order == "by name":
        indices.sort(key=lambda index: results.names[index].casefold())
    return indices


def shorten_names(names: tuple[str, ...], max_width: int) -> tuple[list[str], int]:
    """Return the names, safe and at most `max_width` cells wide, and the greatest width."""
    shown = [safe_text(name, max_width) for name in names]
    return shown, widest(shown)
