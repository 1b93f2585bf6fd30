"""What a filter's values look like, and how they are compared with what is known of a run.

Shares are written `0.9` or `90%`, durations `90s`, `10m`, `1h30m`, moments `2026-11-24`,
`2026-11-24T18:30`, `today`, `yesterday` or `7d` (so long ago), large numbers also `50k` or `1.5M`.
`~` asks whether a text contains another, where `*` stands for anything between; case does not
matter. `none` is what a run does not have: it is equal to that alone, and nothing else is.
"""

import math
import operator
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, TypeAlias

from cnn_engine.errors import ConfigError
from cnn_engine.runs.columns import Figure
from cnn_engine.runs.summary import LIVE, STATUSES

Test: TypeAlias = Callable[[Any], bool]
"""Whether a figure's value is one that is asked for."""

ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
DURATION = re.compile(r"(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s?)?")
LARGE = {"k": 1e3, "M": 1e6, "G": 1e9}
YES, NO = ("yes", "true", "1"), ("no", "false", "0")


def comparison(figure: Figure, sign: str, text: str) -> Test:
    """How a figure is compared with what is written.

    Raises:
        ConfigError: it cannot be.
    """
    if sign.startswith("!"):
        opposite = comparison(figure, sign[1:], text)
        return lambda value: not opposite(value)
    if text.lower() in ("none", "") and sign == "=":
        return lambda value: value is None or value in ("", ())
    return _COMPARISONS[figure.kind](figure.key, sign, text)


def contains(text: str) -> Test:
    """Whether a value's text contains this one; `*` stands for anything between."""
    parts = [part for part in text.casefold().split("*") if part]

    def test(value: Any) -> bool:  # noqa: ANN401 - whatever is known of a run
        rest = _text(value).casefold()
        for part in parts:
            _, found, rest = rest.partition(part)
            if not found:
                return False
        return True

    return test


def number_of(text: str) -> float:
    """A number as typed: `0.001`, `1e-3`, `90%`, `50k`.

    Raises:
        ValueError: it is none.
    """
    if text.endswith("%"):
        number = float(text[:-1]) / 100
    elif text[-1:] in LARGE:
        number = float(text[:-1]) * LARGE[text[-1]]
    else:
        number = float(text)
    if math.isnan(number):
        raise ValueError("not a number")
    return number


def share_of(text: str) -> float:
    """A share as typed: `0.9`, `90%`.

    Raises:
        ValueError: it is none.
    """
    share = number_of(text)
    if not 0 <= share <= 1:
        raise ValueError("not a share")
    return share


def seconds_of(text: str) -> float:
    """A duration as typed: `90`, `90s`, `10m`, `1h30m`, `2d`.

    Raises:
        ValueError: it is none.
    """
    found = DURATION.fullmatch(text)
    if not found or not text:
        raise ValueError("not a duration")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def span_of(text: str) -> tuple[float, float]:
    """A moment as typed, as its first second and the one after its last, since 1970.

    Raises:
        ValueError: it is none.
        OverflowError: it lies too far off.
    """
    today = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"today": 0, "yesterday": 1}.get(text.lower())
    if days is None and re.fullmatch(r"[\d.]+[dhm]", text):
        moment = datetime.now().timestamp() - seconds_of(text)
        return moment, moment
    first = today - timedelta(days) if days is not None else datetime.fromisoformat(text)
    length = timedelta(days=1) if days is not None or len(text) <= 10 else timedelta(minutes=1)
    return first.timestamp(), (first + length).timestamp()


def _ordered(read: Callable[[str], float], what: str) -> Callable[[str, str, str], Test]:
    """How to compare what has an order: what reads a value, and what one is called that is none."""

    def compare(key: str, sign: str, text: str) -> Test:
        _refuse_search(key, sign)
        try:
            return _in_order(sign, read(text))
        except ValueError:
            raise ConfigError(f"{key}: {text!r} is no {what}") from None

    return compare


def _compare_date(key: str, sign: str, text: str) -> Test:
    _refuse_search(key, sign)
    try:
        first, after = span_of(text)
    except (ValueError, OverflowError, OSError):
        raise ConfigError(
            f"{key}: {text!r} is no date; write 2026-11-24, today, yesterday or 7d"
        ) from None
    if sign == "=":
        return lambda value: value is not None and first <= value < after
    bound = first if sign in ("<", ">=") else after
    order = ORDERS["<" if sign in ("<", "<=") else ">="]
    return lambda value: value is not None and order(value, bound)


def _compare_text(key: str, sign: str, text: str) -> Test:
    if sign == "~":
        return contains(text)
    if sign != "=":
        raise ConfigError(f"{key}: is a text: compare it with =, != or ~")
    if key == "status":
        return _compare_status(text.lower())
    return lambda value: _text(value).casefold() == text.casefold()


def _compare_status(text: str) -> Test:
    if text == "live":
        return lambda value: value in LIVE
    if text not in STATUSES:
        close = get_close_matches(text, [*STATUSES, "live"], n=1)
        meant = f"did you mean {close[0]!r}?" if close else f"there are live, {', '.join(STATUSES)}"
        raise ConfigError(f"status: {text!r} is none; {meant}")
    return lambda value: value == text


def _compare_words(key: str, sign: str, text: str) -> Test:
    fits = _compare_text(key, sign, text)
    return lambda words: any(map(fits, words))


def _compare_flag(key: str, sign: str, text: str) -> Test:
    if sign != "=" or text.lower() not in YES + NO:
        raise ConfigError(f"{key}: is yes or no: write {key}=yes or {key}=no")
    return lambda value: value == (text.lower() in YES)


def _compare_setting(_key: str, sign: str, text: str) -> Test:
    """A config's values have types of their own: each is compared as what it is."""
    try:
        number = _in_order(sign, number_of(text)) if sign != "~" else None
    except ValueError:
        number = None
    is_in = contains(text)

    def test(value: Any) -> bool:  # noqa: ANN401 - whatever a config holds
        if sign == "~":
            return value is not None and is_in(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return number is not None and number(value)
        return sign == "=" and value is not None and _text(value).casefold() == text.casefold()

    return test


_COMPARISONS: dict[str, Callable[[str, str, str], Test]] = {
    "number": _ordered(number_of, "number"),
    "share": _ordered(share_of, "share of 0 to 1; write 0.9 or 90%"),
    "seconds": _ordered(seconds_of, "duration; write 90s, 10m or 1h30m"),
    "date": _compare_date,
    "text": _compare_text,
    "words": _compare_words,
    "flag": _compare_flag,
    "config": _compare_setting,
}


def _in_order(sign: str, number: float) -> Test:
    if sign == "=":
        least, most = number - abs(number) * 1e-9, number + abs(number) * 1e-9
        return lambda value: value is not None and (value == number or least <= value <= most)
    order = ORDERS[sign]
    return lambda value: value is not None and order(value, number)


def _refuse_search(key: str, sign: str) -> None:
    if sign == "~":
        raise ConfigError(f"{key}: is no text: compare it with =, !=, <, <=, > or >=")


def _text(value: Any) -> str:  # noqa: ANN401 - whatever is known of a run
    """A value as a config file has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
