"""Numbers, durations, sizes and dates as text."""

import math
import time
from datetime import UTC, datetime, tzinfo

from cnn_engine import texts

duration, percent = texts.duration, texts.percent


def decimal(value: float | None, digits: int = 4) -> str:
    """Return a number with `digits` decimals; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def significant(value: float) -> str:
    """Return a number with four significant digits: `0.7421`, `12,345`, `1.2e-5`, `nan`."""
    if 1000 <= abs(value) < 999_999.5:
        return f"{value:,.0f}"
    mantissa, _, exponent = f"{value:.4g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def rate(value: float) -> str:
    """Return a number per second with three significant digits: `1,190`, `10.7`, `0.25`."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.3g}"


def out_of(done: int, total: int, between: str = "/") -> str:
    """Return `3/20`; only the first number if the total is 0, as for an imported run."""
    return f"{done}{between}{total}" if total else str(done)


def ratio(part: float, whole: float, empty: float = 0.0) -> float:
    """Return `part / whole`; `empty` if `whole` is 0."""
    return part / whole if whole else empty


def bytes_text(count: float) -> str:
    """Return `1.2 GB` with three significant digits, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def count_text(count: float) -> str:
    """Return `652k` or `21.8M`: a count with three significant digits."""
    for unit in ("", "k", "M", "G", "T"):
        if count < 999.5:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:,.3g}P"


def clock(moment: float) -> str:
    """Return the local time of day; a dash for an invalid time, as in a damaged log."""
    return _moment(moment, "%H:%M:%S")


def date(moment: float) -> str:
    """Return the local date and time to the minute; a dash for 0."""
    return _moment(moment, "%Y-%m-%d %H:%M") if moment else "–"


def utc(moment: float) -> str:
    """Return the UTC date and time to the second; a dash for 0."""
    return _moment(moment, "%Y-%m-%d %H:%M:%S UTC", UTC) if moment else "–"


def age(moment: float) -> str:
    """Return the time since then: `now`, `5m`, `3h`, `12d`, `2y`; a dash for 0."""
    seconds = time.time() - moment
    if not moment or not math.isfinite(seconds):
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
