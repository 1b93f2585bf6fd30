"""Events as lines of strict JSON, and lines checked as they become events again."""

import json
import math
from typing import Any

import msgspec

from cnn_engine.events import KINDS, Event


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
_EVENTS = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}


def from_line(line: str | bytes) -> Event | None:
    """The event in a line, or None when its kind is of a newer version.

    Unknown fields are ignored for the same reason.

    Raises:
        ValueError: the line is not an event.
    """
    try:
        head = _HEAD.decode(line)
        decoder = _EVENTS.get(head.kind)
        if decoder is None or not head.nonfinite:
            return decoder and decoder.decode(line)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        pass  # damaged, or with a lone surrogate
    except RecursionError:
        raise ValueError("nested too deeply for an event") from None
    return _from_values(json.loads(line))


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
