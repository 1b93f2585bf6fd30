"""Pictures that are nearly the same: scaled, compressed anew, a little brighter, or a moment later.

Two steps. The first finds candidates by their difference hash (dHash: N. Krawetz, "Kind of Like
That", hackerfactor.com, 2013): of a grey miniature of 9 × 8 pixels, 64 bits say whether each pixel
is darker than the one to its right. Only hashes are compared that agree in one of eight parts of 16
bits, as nearly all do that differ in seven bits or fewer. The second step sees whether the
miniatures themselves, of 18 × 16 pixels, are alike, as bits are the same by chance too. Of what it
finds in CIFAR-10, 120 pairs were looked at, and all showed the same; handwritten digits are taken
for the same sooner.
"""

import numpy as np
from numpy.typing import NDArray

MOST_BITS = 7
"""Hashes that differ in more bits are of other pictures."""

PART_STARTS = range(0, 64, 8)
"""Bits that the parts of 16 bits begin at; the last one goes round."""

LEAST_CORRELATION = 0.97
"""Of the pixels of two miniatures; brightness and contrast do not count."""

BLANK = 8
"""Where the darkest and the brightest pixel are no further apart, there is nothing to compare."""

MOST_NEIGHBOURS = 500
"""Of more hashes that share a part, each is compared with as many: a bound on what it takes."""

ONES = np.array([number.bit_count() for number in range(256)], dtype=np.uint8)


def are_blank(miniatures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the miniatures [N, 16, 18] are of nearly one shade."""
    flat = miniatures.reshape(len(miniatures), -1)
    blank: NDArray[np.bool_] = np.ptp(flat, axis=1) <= BLANK
    return blank


def near_pairs(miniatures: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Positions of those of the miniatures [N, 16, 18] that show nearly the same."""
    shown = np.flatnonzero(~are_blank(miniatures))
    if len(shown) < 2:
        return []
    normal = _normalised(miniatures[shown])
    pairs = _candidates(difference_hashes(miniatures[shown]))
    alike = [
        block[(normal[block[:, 0]] * normal[block[:, 1]]).sum(axis=1) >= LEAST_CORRELATION]
        for block in np.array_split(pairs, len(pairs) // 10_000 + 1)
    ]
    return [(int(one), int(other)) for one, other in shown[np.concatenate(alike)]]


def difference_hashes(miniatures: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The hashes [N] of miniatures [N, 16, 18]."""
    count = len(miniatures)
    means = miniatures.reshape(count, 8, 2, 9, 2).sum(axis=(2, 4), dtype=np.uint16)
    bits = (means[:, :, :-1] < means[:, :, 1:]).reshape(count, 64)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _normalised(miniatures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows [N, 288] of mean 0 and length 1, whose product is the correlation."""
    rows = miniatures.reshape(len(miniatures), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    normal: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normal


def _candidates(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs [M, 2] of positions whose hashes differ in few bits, each pair once."""
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in PART_STARTS:
        turned = (hashes >> np.uint64(start)) | (hashes << np.uint64((64 - start) % 64))
        parts = turned.astype(np.uint16)
        order = np.argsort(parts, kind="stable")
        for distance in range(1, min(MOST_NEIGHBOURS, len(order) - 1) + 1):
            one, other = order[:-distance], order[distance:]
            same = parts[one] == parts[other]
            if not same.any():
                break
            pairs = np.stack([one[same], other[same]], axis=1)
            differing = hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]
            bits = ONES[differing.view(np.uint8).reshape(-1, 8)].sum(axis=1)
            found.append(np.sort(pairs[bits <= MOST_BITS], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def group_pairs(pairs: list[tuple[int, int]]) -> list[list[int]]:
    """What hangs together by pairs, each group and the groups among each other in order."""
    group_of: dict[int, list[int]] = {}
    for one, other in pairs:
        mine, theirs = group_of.setdefault(one, [one]), group_of.setdefault(other, [other])
        if mine is not theirs:
            small, large = sorted((mine, theirs), key=len)
            large += small
            group_of |= dict.fromkeys(small, large)
    unique = {id(group): sorted(group) for group in group_of.values()}
    return sorted(unique.values())
