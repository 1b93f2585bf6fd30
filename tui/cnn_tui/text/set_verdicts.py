"""Significance of the differences between series of runs, in words."""

from cnn_engine.results.group_comparison import SetVerdict
from cnn_tui.text.safe import safe_text


def set_verdict_text(first: str, other: str, verdict: SetVerdict, count: int) -> str:
    """Return a sentence about the significance of the difference between two sets of runs.

    Args:
        first: Name of the first set.
        other: Name of the other set.
        verdict: Verdict on the other set against the first.
        count: Number of sets tested against the first.
    """
    if verdict.p_value is None:
        return f"{other} is not tested against {first}: {safe_text(verdict.reason, 1000)}"
    points = 100 * (verdict.difference or 0.0)
    counts = f"n {verdict.counts[0]} and {verdict.counts[1]}"
    better, worse = (other, first) if points > 0 else (first, other)
    if verdict.is_significant:
        conclusion = f"{better} is significantly better than {worse}"
    else:
        conclusion = f"The difference of {other} to {first} is not statistically significant"
    correction = f", adjusted for {count} comparisons" if count > 1 else ""
    test = f"{verdict.test}, {counts}, p = {p_text(verdict.p_value)}{correction}"
    return f"{conclusion}: {points:+.2f} points in mean test accuracy ({test})."


def p_text(p: float) -> str:
    """Return a p-value: `0.013`, `1.2e-05`."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def set_verdict_cell(verdict: SetVerdict) -> str:
    """Return the verdict for a table cell; a dash if not tested."""
    if verdict.p_value is None:
        return "–"
    if not verdict.is_significant:
        return "not significant"
    return "better" if (verdict.difference or 0.0) > 0 else "worse"
