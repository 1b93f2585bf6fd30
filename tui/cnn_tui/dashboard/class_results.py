"""What the last validation or the test says of the classes."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from cnn_engine.runlog.events import Confusion
from cnn_engine.runlog.state import RunState
from cnn_tui.text.numbers import percent, ratio
from cnn_tui.text.safe import safe_text

Order: TypeAlias = Literal["as given", "worst first", "by name"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True, kw_only=True)
class ClassResults:
    """Counts per class, and what to compare them with."""

    title: str
    """Of what they are."""

    names: tuple[str, ...]
    """Class names as they are; to be made safe where they are shown."""

    correct: tuple[int, ...]
    total: tuple[int, ...]
    confusion: Confusion
    previous_correct: tuple[int, ...]
    """Right in the epoch before; these same for the test, and for the first epoch."""

    is_final: bool
    """Whether they are of the test, which there is nothing to compare with."""

    best_correct: tuple[int, ...]
    """Right in the best epoch before this one; these same where there is none."""

    def accuracy(self, index: int) -> float:
        """Share of a class's images that are classified right."""
        return ratio(self.correct[index], self.total[index])


def latest_results(state: RunState) -> ClassResults | None:
    """The test's results, or before it those of the last validation."""
    if state.prepared is None or not (state.test or state.validated_epochs):
        return None
    names = state.prepared.classes
    if test := state.test:
        return ClassResults(
            title=f"test {percent(test.accuracy, 2)}",
            names=names,
            correct=test.correct,
            total=test.total,
            confusion=test.confusion,
            is_final=True,
            previous_correct=test.correct,
            best_correct=test.correct,
        )
    *earlier, last = state.validated_epochs
    best = min(
        earlier, key=lambda epoch: (epoch.val_loss != epoch.val_loss, epoch.val_loss), default=last
    )
    return ClassResults(
        title=f"validation {percent(last.val_accuracy)}, epoch {last.epoch}",
        names=names,
        correct=last.correct,
        total=last.total,
        confusion=last.confusion,
        is_final=False,
        previous_correct=earlier[-1].correct if earlier else last.correct,
        best_correct=best.correct,
    )


def sorted_indices(results: ClassResults, order: Order) -> list[int]:
    """Indices of the classes in that order."""
    indices = list(range(len(results.names)))
    if order == "worst first":
        indices.sort(key=results.accuracy)
    elif order == "by name":
        indices.sort(key=lambda index: results.names[index].casefold())
    return indices


def shorten_names(names: tuple[str, ...], longest: int) -> tuple[list[str], int]:
    """The names made safe and no longer than that, and the length of the longest of them."""
    shown = [safe_text(name, longest) for name in names]
    return shown, max(map(len, shown), default=0)
