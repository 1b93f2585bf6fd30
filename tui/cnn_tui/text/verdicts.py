"""Significance of the differences between runs, in words."""

from typing import NamedTuple

from cnn_engine.results.comparison import Verdict
from cnn_engine.runlog.state import RunState
from cnn_tui.text.safe import safe_text


class VerdictText(NamedTuple):
    """Parts of a text; joined, they are the whole."""

    counts: str
    conclusion: str
    """Conclusion; may be empty."""

    test: str
    """Statistical test and p-value."""


def can_be_tested(first: RunState, other: RunState) -> bool:
    """Return True if cnn-tui trains both runs, so that it can have predictions of both."""
    return first.is_own and other.is_own


def verdict_text(first: str, other: str, verdict: Verdict, count: int) -> VerdictText:
    """Return a sentence about the significance of the difference between two runs.

    Args:
        first: Name of the first run.
        other: Name of the other run.
        verdict: Verdict on the other run against the first.
        count: Number of runs tested against the first.
    """
    counted, names = verdict.disagreement, (first, other)
    if counted is None:
        reason = safe_text(verdict.reason, 1000)
        return VerdictText(f"{other} cannot be tested against {first}: {reason}", "", "")
    counts = (
        f"Of the same test images, only {first} is correct on {counted.only_first:,} and only "
        f"{other} on {counted.only_second:,}. "
    )
    if not any(counted):
        return VerdictText(
            counts, "No difference", ": both are correct on exactly the same images."
        )
    better, worse = names if counted.only_first > counted.only_second else names[::-1]
    if verdict.is_significant:
        conclusion = f"{better} is significantly better than {worse}"
    elif _is_one(verdict.p_value):
        conclusion = "No difference"
    else:
        conclusion = "The difference is not statistically significant"
    correction = f", adjusted for {count} comparisons" if count > 1 else ""
    test = f" (McNemar's exact test, p = {_probability(verdict.p_value)}{correction})."
    return VerdictText(counts, conclusion, test)


def verdict_cell(verdict: Verdict) -> str:
    """Return the verdict for a table cell: `better`, `not significant`; a dash if not tested."""
    counted = verdict.disagreement
    if counted is None:
        return "–"
    if _is_one(verdict.p_value):
        return "no difference"
    if not verdict.is_significant:
        return "not significant"
    return "better" if counted.only_second > counted.only_first else "worse"


def probability_cell(verdict: Verdict) -> str:
    """Return the p-value as `0.003`; empty if there is no difference."""
    is_known = verdict.disagreement is not None and not _is_one(verdict.p_value)
    return _probability(verdict.p_value) if is_known else ""


def _is_one(p: float) -> bool:
    """Return True if the p-value rounds to 1 in three decimals."""
    return round(p, 3) == 1.0


def _probability(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"
