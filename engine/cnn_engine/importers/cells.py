"""Numbers and times as other programs write them."""

import math
import re
from datetime import datetime
from typing import NamedTuple

COMMA_NUMBER = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
"""A number with a decimal comma."""

THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
"""A number with a comma between thousands, and a decimal point or none."""

GERMAN_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+,\d+")

UNIX_TIMES = 1e9, 1e11
"""Numbers between these are Unix times; a thousand times greater ones are in milliseconds."""


class Number(NamedTuple):
    """A number, and whether it was written with a percent sign."""

    value: float
    is_percent: bool = False


def number(text: str) -> Number | None:
    """Return the number in a cell; None if it holds none, such as `-` or `None`."""
    if "_" in text:  # Python takes 1_000 for a number
        return None
    try:
        return Number(float(text))
    except ValueError:
        return _unusual_number(text.strip())


def _unusual_number(text: str) -> Number | None:
    """Return a number with a percent sign, a decimal comma, or commas between thousands."""
    is_percent = text.endswith("%")
    if is_percent:
        text = text[:-1].rstrip()
    if "," in text:
        if COMMA_NUMBER.fullmatch(text):
            text = text.replace(",", ".")
        elif THOUSANDS.fullmatch(text):
            text = text.replace(",", "")
        elif GERMAN_THOUSANDS.fullmatch(text):
            text = text.replace(".", "").replace(",", ".")
    try:
        return Number(float(text), is_percent)
    except ValueError:
        return None


def moment(text: str) -> float | None:
    """Return a time in seconds: since 1970, or since the start for small numbers.

    Returns:
        None if the cell holds neither a number nor an ISO date.
    """
    if found := number(text):
        return found.value / 1000 if _is_unix(found.value / 1000) else found.value
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def are_unix_times(times: list[float]) -> bool:
    """Return True if all times are seconds since 1970."""
    return all(map(_is_unix, times))


def _is_unix(time: float) -> bool:
    return math.isfinite(time) and UNIX_TIMES[0] < time < UNIX_TIMES[1]
