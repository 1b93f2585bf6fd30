"""Bars and sparklines of block characters."""

import math
from collections.abc import Sequence

SPARKS = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> tuple[str, str]:
    """A thin bar of `width` cells, in steps of half a cell: what is done, and what remains."""
    full, half = divmod(round(min(max(share, 0.0), 1.0) * width * 2), 2)
    done = "━" * full + "╸" * half
    return done, "─" * (width - len(done))


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as blocks scaled between their extremes; a gap where not finite."""
    shown = values[-width:]
    finite = [value for value in shown if math.isfinite(value)]
    if not finite:
        return " " * len(shown)
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    return "".join(
        SPARKS[round((value - low) / span * 7)] if math.isfinite(value) else " " for value in shown
    )
