"""Numbers and times as other programs write them."""

import math
import re
from datetime import datetime
from typing import Literal, NamedTuple

COMMA_NUMBER = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
"""A number with a decimal comma."""

THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
"""A number with a comma between thousands, and a decimal point or none."""

GERMAN_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+,\d+")

WRAPPED = re.compile(
    r"(?:(?:tensor|array|(?:np\.|numpy\.)?float\d+)\(\s*)?\[?\s*([^\s,()\[\]]+)\s*\]?"
    r"(?:,\s*\w+=[^()]*)?\)?"
)
"""A number as Python prints it within an object, such as `tensor(0.9, device='cuda:0')`."""

MISSING = frozenset("- -- --- none null nan na n/a nil ? .".split())
"""Cells without a value, in lower case."""

UNIX_TIMES = 1e9, 1e11
"""Numbers between these are Unix times; a thousand times greater ones are in milliseconds."""


class Number(NamedTuple):
    """A number, and how it was written."""

    value: float
    is_percent: bool = False
    comma: Literal["", "decimal", "thousands"] = ""
    """Meaning of its comma; "" without one."""


def number(text: str, *, thousands: bool = False) -> Number | None:
    """Return the number in a cell; None if it holds none, such as `-` or `None`.

    Args:
        text: The cell.
        thousands: True if the comma of `1,000` is between thousands, not a decimal comma.
    """
    if "(" in text or "[" in text:
        wrapped = WRAPPED.fullmatch(text.strip())
        text = wrapped[1] if wrapped else text
    if "_" in text:  # Python takes 1_000 for a number
        return None
    try:
        return Number(float(text))
    except ValueError:
        return _unusual_number(text.strip(), thousands=thousands)


def _unusual_number(text: str, *, thousands: bool) -> Number | None:
    """Return a number with a percent sign, a decimal comma, or commas between thousands."""
    comma: Literal["", "decimal", "thousands"] = ""
    is_percent = text.endswith("%")
    if is_percent:
        text = text[:-1].rstrip()
    if "," in text:
        if THOUSANDS.fullmatch(text) and (thousands or not COMMA_NUMBER.fullmatch(text)):
            text, comma = text.replace(",", ""), "thousands"
        elif COMMA_NUMBER.fullmatch(text):
            text, comma = text.replace(",", "."), "decimal"
        elif GERMAN_THOUSANDS.fullmatch(text):
            text, comma = text.replace(".", "").replace(",", "."), "decimal"
    try:
        return Number(float(text), is_percent, comma)
    except ValueError:
        return None


def is_missing(text: str) -> bool:
    """Return True for a cell without a value, such as `-` or `None`."""
    return text.strip().lower() in MISSING


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
