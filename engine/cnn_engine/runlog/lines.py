"""Encodes events as lines of strict JSON, and decodes and validates them."""

import json
import math
import re
from typing import Any

import msgspec

from cnn_engine.runlog.events import KINDS, ConfigReplaced, Event, RunStarted


def to_line(event: Event) -> str:
    """Return the event as one line of strict JSON, without the newline.

    JSON has no NaN or infinity: such a field is null, and `nonfinite` holds its value as text.
    """
    values = {"kind": type(event).__name__, **vars(event)}
    nonfinite = {
        key: str(value)
        for key, value in values.items()
        if isinstance(value, float) and not math.isfinite(value)
    }
    if nonfinite:
        values |= dict.fromkeys(nonfinite) | {"nonfinite": nonfinite}
    return _ENCODER.encode(values)


_ENCODER = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))


class _Head(msgspec.Struct):
    """Fields that are needed to decode the rest of a line."""

    kind: str
    time: float
    """Required here, because an event without it would get the current time."""
    nonfinite: dict[str, str] = {}  # msgspec copies it


_HEAD = msgspec.json.Decoder(_Head)
_WITH_CONFIG = (RunStarted, ConfigReplaced)
"""Kinds with a config, whose integers msgspec does not limit to 64 bits."""
_EVENTS = {
    name: msgspec.json.Decoder(kind) for name, kind in KINDS.items() if kind not in _WITH_CONFIG
}
_SCALARS = re.compile(rb'\{"kind":"ScalarsLogged","time":\d')
"""Start of the lines that are too long to be decoded twice, as they have hundreds of values."""


def from_line(line: str | bytes) -> Event | None:
    """Return the event in a line, or None if its kind is unknown, as from a newer version.

    Unknown fields are ignored.

    Raises:
        ValueError: the line is not an event.
    """
    try:
        return _event(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _event(line: str | bytes) -> Event | None:
    try:
        if isinstance(line, bytes) and _SCALARS.match(line):
            return _EVENTS["ScalarsLogged"].decode(line)
        head = _HEAD.decode(line)
        decoder = _EVENTS.get(head.kind)
        if decoder and not head.nonfinite:
            return decoder.decode(line)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        pass  # damaged, or has a lone surrogate
    return _from_values(json.loads(line, parse_int=_parse_int))


def _parse_int(digits: str) -> int:
    number = int(digits)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{digits[:20]} has more than 64 bits")
    return number


def _from_values(values: dict[str, Any]) -> Event | None:
    """Return the event of a line decoded by the `json` module.

    It is four times slower than msgspec but accepts lone surrogates, which stand for bytes of file
    names that are not UTF-8.
    """
    head = msgspec.convert(values, _Head)
    if head.kind not in KINDS:
        return None
    nonfinite = {key: float(text) for key, text in head.nonfinite.items()}
    return msgspec.convert(values | nonfinite, KINDS[head.kind])
