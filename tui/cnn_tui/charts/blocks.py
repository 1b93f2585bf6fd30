"""Bars and sparklines of block characters."""

import math
from collections.abc import Sequence

SPARKS = "▁▂▃▄▅▆▇█"


def bar(fraction: float, width: int) -> tuple[str, str]:
    """Return the done and the remaining part of a thin bar, in steps of half a cell."""
    full, half = divmod(round(min(max(fraction, 0.0), 1.0) * width * 2), 2)
    done = "━" * full + "╸" * half
    return done, "─" * (width - len(done))


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the last `width` values as blocks scaled to their range; blank if not finite."""
    shown = values[-width:]
    finite = [value for value in shown if math.isfinite(value)]
    if not finite:
        return " " * len(shown)
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    return "".join(
        SPARKS[round((value - low) / span * 7)] if math.isfinite(value) else " " for value in shown
    )
