"""Counts per class of a validation, from true and predicted classes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from cnn_engine.runlog.events import Confusion
from cnn_engine.tracking.names import MAX_CLASSES

HINT = "give logits.argmax(1), or (p > 0.5).int() for two classes"


class Counts(NamedTuple):
    """Counts as in `EpochFinished`."""

    correct: tuple[int, ...]
    total: tuple[int, ...]
    confusion: Confusion

    def __add__(self, more: "Counts") -> "Counts":  # type: ignore[override]  # of tuples
        """Return the counts of both."""
        pairs = Counter({pair[:2]: pair[2] for pair in self.confusion})
        pairs.update({pair[:2]: pair[2] for pair in more.confusion})
        return Counts(
            tuple(map(sum, zip_longest(self.correct, more.correct, fillvalue=0))),
            tuple(map(sum, zip_longest(self.total, more.total, fillvalue=0))),
            tuple(sorted((*pair, images) for pair, images in pairs.items())),
        )


def count(truth: Any, predicted: Any, classes: Sequence[str]) -> Counts:
    """Count images per pair of classes.

    Args:
        truth: True class of each image: indices, or names if `classes` has them. Lists, arrays and
            tensors.
        predicted: Predicted class of each image, alike.
        classes: Names of the classes; may be empty.

    Raises:
        ValueError: the lengths differ, or something is not a class.
    """
    pairs = Counter(zip(_indices(truth, classes), _indices(predicted, classes), strict=True))
    highest = max((max(pair) for pair in pairs), default=-1)
    if min((min(pair) for pair in pairs), default=0) < 0 or highest >= MAX_CLASSES:
        raise ValueError(f"classes must be numbers from 0 to {MAX_CLASSES - 1}")
    size = max(len(classes), highest + 1)
    correct, total = [0] * size, [0] * size
    for (true, guess), images in pairs.items():
        total[true] += images
        if true == guess:
            correct[true] += images
    confusion = sorted((*pair, images) for pair, images in pairs.items() if pair[0] != pair[1])
    return Counts(tuple(correct), tuple(total), tuple(confusion))


def _indices(labels: Any, classes: Sequence[str]) -> Iterable[int]:
    """Return the indices of classes.

    Raises:
        ValueError: something is not a class.
    """
    to_list = getattr(labels, "tolist", None)  # tensors and arrays
    values = list(labels) if to_list is None else to_list()
    known = {name: index for index, name in enumerate(classes)}
    return [_index(value, known) for value in values]


def _index(value: Any, known: dict[str, int]) -> int:
    if isinstance(value, str):
        if value not in known:
            raise ValueError(f"{value[:80]!r} is not among the names of the classes")
        return known[value]
    if isinstance(value, list):
        raise ValueError(f"one class for each image is expected, not a list of scores: {HINT}")
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"{value} is not the number of a class: {HINT}")
    return int(value)
