"""Welch's t-test for the means of two samples with different variances."""

import math
from collections.abc import Sequence
from statistics import fmean, variance

TINY = 1e-300
EPSILON = 1e-14
MAX_TERMS = 500


def welch_p_value(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p-value of Welch's t-test (B. L. Welch, 1947).

    Args:
        first: At least two values.
        second: At least two values; those of both must not all be the same.

    Raises:
        ValueError: neither sample has a deviation.
    """
    shares = [variance(values) / len(values) for values in (first, second)]
    total = sum(shares)
    if total == 0:
        raise ValueError("neither sample has a deviation")
    t = (fmean(first) - fmean(second)) / math.sqrt(total)
    parts = zip(shares, (first, second), strict=True)
    freedom = total**2 / sum(share**2 / (len(values) - 1) for share, values in parts)
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularized incomplete beta function for x from 0 to 1."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_front += a * math.log(x) + b * math.log1p(-x)
    # Lentz's algorithm for the continued fraction.
    value, c, d = 1.0, 1.0, 0.0
    for term in range(MAX_TERMS):
        m = term // 2
        if term == 0:
            numerator = 1.0
        elif term % 2 == 0:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / _away_from_zero(1.0 + numerator * d)
        c = _away_from_zero(1.0 + numerator / c)
        change = c * d
        value *= change
        if abs(change - 1.0) < EPSILON:
            break
    return math.exp(log_front) * (value - 1.0) / a


def _away_from_zero(value: float) -> float:
    return TINY if abs(value) < TINY else value
