"""Pairs of classes that are mirror images, between which a random flip leaves no difference."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIDES = (
    ("left", "right"),
    ("links", "rechts"),
    ("gauche", "droite"),
    ("izquierda", "derecha"),
    ("esquerda", "direita"),
    ("sinistra", "destra"),
    ("左", "右"),
)
"""Words for left and right in names of classes."""

MIRRORED_LETTERS = (("b", "d"), ("p", "q"), ("<", ">"), ("(", ")"), ("[", "]"))
"""Names of classes of characters that are mirror images."""

MIN_IMAGES = 10
"""Minimum number of images of a class whose mean image is compared."""

MIN_MIRRORED, MAX_PLAIN = 0.9, 0.8
"""Correlation of two mean images: at least this with one of them flipped, at most that without."""

MIN_GAIN = 4
"""Factor by which flipping one of them has to bring the correlation closer to 1."""

BLOCK = 1_000
"""Number of classes compared with all others at a time; bounds the memory with many classes."""


def pairs_by_name(classes: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of classes whose names differ only in left and right, or mirrored letters."""
    labels = {name.lower(): label for label, name in enumerate(classes)}
    pairs = [
        (label, labels[other])
        for left, right in SIDES
        for name, label in labels.items()
        if left in name and (other := name.replace(left, right)) in labels
    ]
    exact = {name: label for label, name in enumerate(classes)}
    pairs += [
        (exact[one], exact[other])
        for one, other in MIRRORED_LETTERS
        if {one, other} <= exact.keys()
    ]
    return pairs


def pairs_by_content(
    images: NDArray[np.floating] | NDArray[np.uint8], labels: NDArray[np.integer], class_count: int
) -> list[tuple[int, int]]:
    """Return pairs of classes whose mean images are mirror images of each other.

    Args:
        images: Grey [N, H, W].
        labels: [N].
        class_count: Number of classes.
    """
    means = np.zeros((class_count, *images.shape[1:]))
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], np.arange(class_count), side="right")
    for label, chosen in enumerate(np.split(order, ends[:-1])):
        if len(chosen) >= MIN_IMAGES:
            means[label] = images[chosen].mean(axis=0)
    normal, flipped = _normalized(means), _normalized(means[:, :, ::-1])
    pairs = []
    for first in range(0, class_count, BLOCK):
        block = normal[first : first + BLOCK]
        plain, mirrored = block @ normal.T, block @ flipped.T
        found = (mirrored >= MIN_MIRRORED) & (plain <= MAX_PLAIN)
        found &= MIN_GAIN * (1 - mirrored) <= 1 - plain
        pairs += [(first + int(row), int(other)) for row, other in np.argwhere(found)]
    return [(one, other) for one, other in pairs if one < other]


def _normalized(images: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return images [K, H, W] as rows [K, H · W] whose dot products are their correlations."""
    rows = images.reshape(len(images), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    normal: NDArray[np.floating] = rows / np.maximum(
        np.linalg.norm(rows, axis=1, keepdims=True), 1e-9
    )
    return normal


def mirrored_text(
    classes: Sequence[str], by_name: list[tuple[int, int]], by_content: list[tuple[int, int]]
) -> str:
    """Return a text on the first pair, such as `'left' and 'right' look like mirror images`."""
    pairs, verb = (by_name, "are named like") if by_name else (by_content, "look like")
    if not pairs:
        return ""
    one, other = pairs[0]
    more = f" (and {len(pairs) - 1:,} more pairs)" if len(pairs) > 1 else ""
    return f"{classes[one]!r} and {classes[other]!r} {verb} mirror images{more}"
