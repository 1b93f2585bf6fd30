"""Whether two models tested on the same images truly differ."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Disagreement(NamedTuple):
    """Images that exactly one of two models classifies right."""

    only_first: int
    only_second: int

    @property
    def p(self) -> float:
        """Probability of so uneven a split, or one more uneven, between models that are equal.

        McNemar's test in its exact form (Q. McNemar, 1947): were both as good, each of these images
        would be as likely the one's as the other's, so their split would be that of as many tosses
        of a coin. Exact for few and for many, so no approximation has to be chosen.
        """
        images, least = sum(self), min(self)
        tail = math.fsum(math.exp(_log_binomial(images, k)) for k in range(least + 1))
        return min(1.0, 2 * tail)


def disagreement(first: Sequence[bool], second: Sequence[bool]) -> Disagreement:
    """How two models disagree, from whether each is right, image by image."""
    pairs = list(zip(first, second, strict=True))
    return Disagreement(pairs.count((True, False)), pairs.count((False, True)))


def adjusted(values: Sequence[float]) -> list[float]:
    """Probabilities of several tests, adjusted for their number as S. Holm (1979) does.

    Of twenty models that are all equal, one would else seem to differ.
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    result, greatest = [0.0] * len(values), 0.0
    for place, index in enumerate(order):
        greatest = max(greatest, min(1.0, (len(values) - place) * values[index]))
        result[index] = greatest
    return result


def _log_binomial(tosses: int, heads: int) -> float:
    """Logarithm of the probability of so many heads."""
    ways = math.lgamma(tosses + 1) - math.lgamma(heads + 1) - math.lgamma(tosses - heads + 1)
    return ways - tosses * math.log(2)
