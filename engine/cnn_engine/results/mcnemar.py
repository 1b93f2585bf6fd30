"""McNemar's exact test for two models evaluated on the same images."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Disagreement(NamedTuple):
    """Number of images that exactly one of two models classifies correctly."""

    only_first: int
    only_second: int

    @property
    def p_value(self) -> float:
        """Two-sided p-value of McNemar's exact test (Q. McNemar, 1947).

        For equally good models each of these images is as likely to be correct for one as for the
        other, so that the split is binomial with probability 1/2. The exact form needs no
        approximation for small counts.
        """
        images, smaller = sum(self), min(self)
        tail = math.fsum(math.exp(_log_binomial(images, k)) for k in range(smaller + 1))
        return min(1.0, 2 * tail)


def count_disagreements(first: Sequence[bool], second: Sequence[bool]) -> Disagreement:
    """Count the disagreements of two models from their correctness per image.

    Args:
        first: True for each image that the first model classifies correctly.
        second: The same for the second model, in the same order.

    Raises:
        ValueError: the lengths differ.
    """
    pairs = list(zip(first, second, strict=True))
    return Disagreement(pairs.count((True, False)), pairs.count((False, True)))


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for multiple comparisons (S. Holm, 1979), in the same order.

    Without the adjustment, about one of twenty equal models would seem different at p < 0.05.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, maximum = [0.0] * len(p_values), 0.0
    for position, index in enumerate(order):
        maximum = max(maximum, min(1.0, (len(p_values) - position) * p_values[index]))
        adjusted[index] = maximum
    return adjusted


def _log_binomial(trials: int, successes: int) -> float:
    """Return the log-probability of a count of successes for probability 1/2."""
    failures = trials - successes
    ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(failures + 1)
    return ways - trials * math.log(2)
