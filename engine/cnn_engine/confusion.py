"""What is mistaken for what, from the counts that events hold."""

from typing import NamedTuple

from cnn_engine.events import Confusion


class ClassQuality(NamedTuple):
    """How well one class is told from the others; None where there is nothing to judge by."""

    precision: float | None
    """Share right of the images called this class, 0 to 1."""

    recall: float | None
    """Share right of the images that are of this class, 0 to 1."""


def confusion_matrix(correct: tuple[int, ...], confusion: Confusion) -> list[list[int]]:
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


def class_qualities(
    correct: tuple[int, ...], total: tuple[int, ...], confusion: Confusion
) -> list[ClassQuality]:
    """Precision and recall of each class, [classes]."""
    called = list(correct)
    for _, predicted, count in confusion:
        if 0 <= predicted < len(called):
            called[predicted] += count
    return [
        ClassQuality(right / named if named else None, right / images if images else None)
        for right, named, images in zip(correct, called, total, strict=True)
    ]


def most_confused(confusion: Confusion, count: int) -> Confusion:
    """The `count` pairs with the most images, the most first; equals in the order of classes."""
    return tuple(sorted(confusion, key=lambda pair: -pair[2])[:count])
