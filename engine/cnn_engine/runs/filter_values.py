"""Parses the values of a filter and compares them with those of runs.

Fractions are written `0.9` or `90%`, durations `90s`, `10m` or `1h30m`, times `2026-11-24`,
`2026-11-24T18:30`, `today`, `yesterday` or `7d` (7 days ago), large numbers also `50k` or `1.5M`.
`~` searches text, ignoring case, and `*` matches any characters. `none` equals a missing value.
"""

import math
import operator
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from cnn_engine.config.suggestion import suggest
from cnn_engine.errors import ConfigError
from cnn_engine.runs.columns import RunColumn
from cnn_engine.runs.summary import LIVE, STATUSES

Test: TypeAlias = Callable[[Any], bool]
"""Returns True if a column's value matches."""

ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
DURATION = re.compile(r"(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?")
SUFFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}
YES, NO = ("yes", "true", "1"), ("no", "false", "0")


def comparison(column: RunColumn, sign: str, text: str) -> Test:
    """Return the test that compares a column's value with a value as typed.

    Raises:
        ConfigError: the value is invalid, or the column has no such comparison.
    """
    if sign.startswith("!"):
        opposite = comparison(column, sign[1:], text)
        return lambda value: not opposite(value)
    if text.lower() in ("none", "") and sign == "=":
        return lambda value: value is None or value in ("", ())
    return _COMPARISONS[column.kind](column.key, sign, text)


def contains(text: str) -> Test:
    """Return a test for values whose text contains this one; `*` matches any characters."""
    parts = [part for part in text.casefold().split("*") if part]

    def test(value: Any) -> bool:  # noqa: ANN401 - a value of any column
        rest = _text(value).casefold()
        for part in parts:
            _, found, rest = rest.partition(part)
            if not found:
                return False
        return True

    return test


def parse_number(text: str) -> float:
    """Return a number as typed: `0.001`, `1e-3`, `90%`, `50k`.

    Raises:
        ValueError: the text is not a number.
    """
    if text.endswith("%"):
        number = float(text[:-1]) / 100
    elif text[-1:] in SUFFIXES:
        number = float(text[:-1]) * SUFFIXES[text[-1]]
    else:
        number = float(text)
    if math.isnan(number):
        raise ValueError("not a number")
    return number


def parse_fraction(text: str) -> float:
    """Return a fraction as typed: `0.9`, `90%`.

    Raises:
        ValueError: the text is not a number from 0 to 1.
    """
    fraction = parse_number(text)
    if not 0 <= fraction <= 1:
        raise ValueError("not a fraction")
    return fraction


def parse_seconds(text: str) -> float:
    """Return a duration as typed in seconds: `90`, `90s`, `10m`, `1h30m`, `2d`.

    Raises:
        ValueError: the text is not a duration.
    """
    found = DURATION.fullmatch(text)
    if not found or not text:
        raise ValueError("not a duration")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_time_span(text: str) -> tuple[float, float]:
    """Return the start and the end of a time as typed, in seconds since 1970.

    A date spans its day, a time its minute; `7d` (7 days ago) is a single moment.

    Raises:
        ValueError: the text is not a time.
        OverflowError: the time is out of range.
    """
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"today": 0, "yesterday": 1}.get(text.lower())
    if days is None and re.fullmatch(r"[\d.]+[dhm]", text):
        moment = datetime.now().timestamp() - parse_seconds(text)
        return moment, moment
    first = today - timedelta(days) if days is not None else datetime.fromisoformat(text)
    length = timedelta(days=1) if days is not None or len(text) <= 10 else timedelta(minutes=1)
    return first.timestamp(), (first + length).timestamp()


def _ordered(parse: Callable[[str], float], expected: str) -> Callable[[str, str, str], Test]:
    """Return a comparison of ordered values; `parse` reads them, errors contain `expected`."""

    def compare(key: str, sign: str, text: str) -> Test:
        _refuse_search(key, sign)
        try:
            return _in_order(sign, parse(text))
        except ValueError:
            raise ConfigError(f"{key}: {text!r} is not a {expected}") from None

    return compare


def _compare_date(key: str, sign: str, text: str) -> Test:
    _refuse_search(key, sign)
    try:
        start, end = parse_time_span(text)
    except (ValueError, OverflowError, OSError):
        raise ConfigError(
            f"{key}: {text!r} is not a date; write 2026-11-24, today, yesterday or 7d"
        ) from None
    if sign == "=":
        return lambda value: value is not None and start <= value < end
    bound = start if sign in ("<", ">=") else end
    order = ORDERS["<" if sign in ("<", "<=") else ">="]
    return lambda value: value is not None and order(value, bound)


def _compare_text(key: str, sign: str, text: str) -> Test:
    if sign == "~":
        return contains(text)
    if sign != "=":
        raise ConfigError(f"{key}: is text; compare it with =, != or ~")
    if key == "status":
        return _compare_status(text.lower())
    return lambda value: _text(value).casefold() == text.casefold()


def _compare_status(text: str) -> Test:
    if text == "live":
        return lambda value: value in LIVE
    if text not in STATUSES:
        known = [*STATUSES, "live"]
        hint = suggest(text, known) or f"; use one of {', '.join(known)}"
        raise ConfigError(f"status: unknown status {text!r}{hint}")
    return lambda value: value == text


def _compare_words(key: str, sign: str, text: str) -> Test:
    matches = _compare_text(key, sign, text)
    return lambda words: any(map(matches, words))


def _compare_flag(key: str, sign: str, text: str) -> Test:
    if sign != "=" or text.lower() not in YES + NO:
        raise ConfigError(f"{key}: is yes or no; write {key}=yes or {key}=no")
    return lambda value: value == (text.lower() in YES)


def _compare_setting(_key: str, sign: str, text: str) -> Test:
    """Compare a config's value by its own type, which is not known beforehand."""
    try:
        number = _in_order(sign, parse_number(text)) if sign != "~" else None
    except ValueError:
        number = None
    is_in = contains(text)

    def test(value: Any) -> bool:  # noqa: ANN401 - any value of a config
        if sign == "~":
            return value is not None and is_in(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return number is not None and number(value)
        return sign == "=" and value is not None and _text(value).casefold() == text.casefold()

    return test


_COMPARISONS: dict[str, Callable[[str, str, str], Test]] = {
    "number": _ordered(parse_number, "number"),
    "fraction": _ordered(parse_fraction, "fraction from 0 to 1; write 0.9 or 90%"),
    "seconds": _ordered(parse_seconds, "duration; write 90s, 10m or 1h30m"),
    "date": _compare_date,
    "text": _compare_text,
    "words": _compare_words,
    "flag": _compare_flag,
    "config": _compare_setting,
    "series": _ordered(parse_number, "number"),
}


def _in_order(sign: str, number: float) -> Test:
    if sign == "=":
        low, high = number - abs(number) * 1e-9, number + abs(number) * 1e-9
        return lambda value: value is not None and (value == number or low <= value <= high)
    order = ORDERS[sign]
    return lambda value: value is not None and order(value, number)


def _refuse_search(key: str, sign: str) -> None:
    if sign == "~":
        raise ConfigError(f"{key}: is not text; compare it with =, !=, <, <=, > or >=")


def _text(value: Any) -> str:  # noqa: ANN401 - a value of any column
    """Return a value as written in a config file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
