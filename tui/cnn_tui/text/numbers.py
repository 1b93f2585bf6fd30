"""Numbers, durations, sizes and dates as text."""

import math
import time
from datetime import UTC, datetime, tzinfo


def duration(seconds: float) -> str:
    """`0:08`, `2:41`, `1:02:03`; a dash for what is no finite time, as of a damaged log."""
    if not math.isfinite(seconds):
        return "–"
    minutes, second = divmod(round(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def percent(share: float, digits: int = 1) -> str:
    """`74.6%`; a dash where there is nothing to have a share of."""
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f}%"


def byte_size(count: int) -> str:
    """`184.3 MB`, in powers of 1000 as disks are sold."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def decimal(value: float | None, digits: int = 4) -> str:
    """A loss or the like; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def ratio(part: float, whole: float) -> float:
    """`part / whole`, and 0 for none of nothing."""
    return part / whole if whole else 0.0


def bytes_text(count: float) -> str:
    """`1.2 GB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def count_text(count: float) -> str:
    """`652k`, `21.8M`: a count in three figures."""
    for unit in ("", "k", "M", "G", "T"):
        if count < 999.5:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:,.3g}P"


def clock(moment: float) -> str:
    """Local time of day; a dash where it is no time, as in a damaged log."""
    return _moment(moment, "%H:%M:%S")


def date(moment: float) -> str:
    """Local date and time to the minute; a dash for no time at all."""
    return _moment(moment, "%Y-%m-%d %H:%M") if moment else "–"


def utc(moment: float) -> str:
    """Date and time to the second for a reader who may be anywhere; a dash for no time at all."""
    return _moment(moment, "%Y-%m-%d %H:%M:%S UTC", UTC) if moment else "–"


def age(then: float) -> str:
    """How long ago: `now`, `5m`, `3h`, `12d`, `2y`; a dash for no time at all."""
    seconds = time.time() - then
    if not then or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return "now"
    for unit, size in (("y", 365 * 86400), ("d", 86400), ("h", 3600)):
        if seconds >= size:
            return f"{min(seconds // size, 99999):.0f}{unit}"
    return f"{seconds // 60:.0f}m"


def _moment(moment: float, form: str, zone: tzinfo | None = None) -> str:
    try:
        return datetime.fromtimestamp(moment, zone).strftime(form)
    except (ValueError, OverflowError, OSError):
        return "–"
