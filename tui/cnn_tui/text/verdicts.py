"""Whether runs truly differ, in words, for a screen and for the shell."""

from typing import NamedTuple

from cnn_engine.results.comparison import Verdict
from cnn_tui.text.safe import safe_text


class VerdictText(NamedTuple):
    """A sentence or three; one after the other they are the whole."""

    counts: str
    conclusion: str
    """What matters; may be empty."""

    test: str
    """By what that is known."""


def verdict_text(first: str, other: str, verdict: Verdict, count: int) -> VerdictText:
    """Whether a run differs from the first.

    Args:
        first: What the first run is called.
        other: What the other is called.
        verdict: Of the other against the first.
        count: Runs that could be tested against the first.
    """
    split, names = verdict.disagreement, (first, other)
    if split is None:
        reason = safe_text(verdict.reason, 1000)
        return VerdictText(f"{other} cannot be tested against {first}: {reason}", "", "")
    counts = (
        f"Of the same test images, {first} alone is right on {split.only_first:,}, and "
        f"{other} alone on {split.only_second:,}. "
    )
    if not any(split):
        return VerdictText(
            counts, "No difference was found", ": they are right on the very same images."
        )
    better, worse = names if split.only_first > split.only_second else names[::-1]
    if verdict.differs:
        conclusion = (
            f"{better} is better than {worse}: chance alone would seldom make such a difference"
        )
    elif _shows_nothing(verdict.p):
        conclusion = "No difference was found"
    else:
        conclusion = "That may be chance: neither is shown to be better"
    several = f", adjusted for {count} comparisons" if count > 1 else ""
    test = f" (McNemar's exact test, p = {_probability(verdict.p)}{several})."
    return VerdictText(counts, conclusion, test)


def verdict_cell(verdict: Verdict) -> str:
    """A run against the first in a word or two, for a table; a dash where it is not known."""
    split = verdict.disagreement
    if split is None:
        return "–"
    if _shows_nothing(verdict.p):
        return "no difference"
    if not verdict.differs:
        return "maybe chance"
    return "better" if split.only_second > split.only_first else "worse"


def probability_cell(verdict: Verdict) -> str:
    """`0.003`: how likely chance is to make such a difference; empty where there is none."""
    is_known = verdict.disagreement is not None and not _shows_nothing(verdict.p)
    return _probability(verdict.p) if is_known else ""


def _shows_nothing(p: float) -> bool:
    """Whether equal models are sure to split as unevenly, as far as the figure is shown."""
    return round(p, 3) == 1.0


def _probability(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"
