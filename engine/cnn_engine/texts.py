"""Parts of messages."""

import math
from collections.abc import Sequence


def listed(names: Sequence[str], limit: int = 5) -> str:
    """Return the first `limit` names, separated by commas, and the number of the others."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def duration(seconds: float) -> str:
    """Return `0:08`, `2:41` or `1:02:03`; a dash if not finite, as in a damaged log."""
    if not math.isfinite(seconds):
        return "–"
    minutes, second = divmod(round(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def percent(fraction: float, digits: int = 1) -> str:
    """Return `74.6%`; a dash for NaN."""
    return "–" if math.isnan(fraction) else f"{100 * fraction:.{digits}f}%"
