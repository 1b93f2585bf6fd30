"""Events as lines of strict JSON, and lines checked as they become events again."""

import json
import math
from typing import Any

import msgspec

from cnn_engine.runlog.events import KINDS, ConfigReplaced, Event, RunStarted


def to_line(event: Event) -> str:
    """The event as one line of strict JSON, without the newline.

    JSON has no NaN and no infinity: such a number is written as null, and `nonfinite` tells which
    field it was in.
    """
    values = {"kind": type(event).__name__, **vars(event)}
    nonfinite = {
        key: str(value)
        for key, value in values.items()
        if isinstance(value, float) and not math.isfinite(value)
    }
    if nonfinite:
        values |= dict.fromkeys(nonfinite) | {"nonfinite": nonfinite}
    return json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


class _Head(msgspec.Struct):
    """What tells how the rest of a line is to be read."""

    kind: str
    time: float
    """Asked for here, as an event that lacks it would be given the time when it is read."""
    nonfinite: dict[str, str] = {}  # msgspec copies it


_HEAD = msgspec.json.Decoder(_Head)
_WITH_CONFIG = (RunStarted, ConfigReplaced)
"""Kinds with whole numbers that no type bounds."""
_EVENTS = {
    name: msgspec.json.Decoder(kind) for name, kind in KINDS.items() if kind not in _WITH_CONFIG
}


def from_line(line: str | bytes) -> Event | None:
    """The event in a line, or None when its kind is of a newer version.

    Unknown fields are ignored for the same reason.

    Raises:
        ValueError: the line is not an event.
    """
    try:
        return _event(line)
    except RecursionError:
        raise ValueError("nested too deeply for an event") from None


def _event(line: str | bytes) -> Event | None:
    try:
        head = _HEAD.decode(line)
        decoder = _EVENTS.get(head.kind)
        if decoder and not head.nonfinite:
            return decoder.decode(line)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        pass  # damaged, or with a lone surrogate
    return _from_values(json.loads(line, parse_int=_whole))


def _whole(digits: str) -> int:
    number = int(digits)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{digits[:20]} has more than 64 bits")
    return number


def _from_values(values: dict[str, Any]) -> Event | None:
    """The event in what Python's own reader makes of a line.

    That takes four times as long, but knows lone surrogates, as in the name of a file that is no
    UTF-8.
    """
    head = msgspec.convert(values, _Head)
    if head.kind not in KINDS:
        return None
    nonfinite = {key: float(text) for key, text in head.nonfinite.items()}
    return msgspec.convert(values | nonfinite, KINDS[head.kind])
