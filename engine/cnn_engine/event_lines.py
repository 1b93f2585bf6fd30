"""Events as lines of strict JSON, and lines checked as they become events again."""

import json
import math
import sys
import types
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import orjson

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


def from_line(line: str | bytes) -> Event | None:
    """The event in a line, or None when its kind is of a newer version.

    Unknown fields are ignored for the same reason.

    Raises:
        ValueError: the line is not an event.
    """
    values = _values(line)
    if not isinstance(values, dict):
        raise ValueError("not an event")
    kind = values.pop("kind", None)
    if not isinstance(kind, str):
        raise ValueError("not an event")
    fields_of_kind = _FIELDS.get(kind)
    if fields_of_kind is None:
        return None
    if "nonfinite" in values:
        nonfinite = _plain(dict, values["nonfinite"])
        values |= {key: float(str(text)) for key, text in nonfinite.items()}
    return fields_of_kind.event(values)


def _values(line: str | bytes) -> Any:  # noqa: ANN401 - whatever the line holds
    """What a line of JSON holds; its whole numbers have 64 bits at most."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    # Python's own reader takes four times as long, but knows lone surrogates, as in the name of a
    # file that is no UTF-8.
    try:
        return json.loads(line, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply for an event") from None


def _whole(digits: str) -> int:
    number = int(digits)
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError(f"{number} has more than 64 bits")
    return number


class _Fields:
    """What a kind's fields have to be, worked out once: reading a long log is mostly this check."""

    def __init__(self, kind: type[Event]) -> None:
        hints = get_type_hints(kind)
        self._kind = kind
        self._names, self._types = tuple(hints), tuple(hints.values())
        self._fits = {name: fit_of(hint) for name, hint in hints.items()}
        # When a line is read is no time of its event, though it serves as one of a new event.
        self._required = {"time"} | {
            field.name
            for field in fields(kind)
            if field.default is MISSING and field.default_factory is MISSING
        }

    def event(self, values: dict[str, Any]) -> Event:
        """The event of these JSON values.

        Raises:
            ValueError: one is missing, or of another type.
        """
        # The steps, which are most of a log, have nothing but plain numbers in the order that we
        # write: two comparisons check them, and the values themselves become the event. A frozen
        # class's __init__, which sets field by field, would take longer than all the rest.
        if tuple(map(type, values.values())) == self._types and tuple(values) == self._names:
            event = object.__new__(self._kind)
            object.__setattr__(event, "__dict__", values)
            return event
        present = {name: fit(values[name]) for name, fit in self._fits.items() if name in values}
        missing = self._required - present.keys()
        if missing:
            raise ValueError(f"{self._kind.__name__} lacks {', '.join(sorted(missing))}")
        return self._kind(**present)


def fit_of(hint: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - a type hint
    """What makes a JSON value into the hinted type, or raises ValueError where it is another."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return partial(_optional, fit_of(arguments[0]))
    if origin is tuple and arguments[-1] is Ellipsis:
        return partial(_sequence, fit_of(arguments[0]))
    if origin is tuple:
        return partial(_row, arguments)
    if origin is dict and arguments == (str, str):
        return _texts
    if origin is Literal:
        return partial(_choice, arguments)
    return partial(_plain, origin or hint)


def _optional(fit: Callable[[Any], Any], value: Any) -> Any:  # noqa: ANN401
    return None if value is None else fit(value)


def _sequence(fit: Callable[[Any], Any], value: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return tuple(map(fit, _plain(list, value)))


def _texts(value: Any) -> dict[str, str]:  # noqa: ANN401
    return {_plain(str, name): _plain(str, text) for name, text in _plain(dict, value).items()}


def _row(kinds: tuple[type, ...], value: Any) -> tuple[Any, ...]:  # noqa: ANN401
    row = tuple(_plain(list, value))
    if tuple(map(type, row)) != kinds:
        raise ValueError(f"{value!r} is not {kinds}")
    return row


def _choice(choices: tuple[Any, ...], value: Any) -> Any:  # noqa: ANN401
    if value not in choices:
        raise ValueError(f"{value!r} is not one of {choices}")
    return value


def _plain(kind: type, value: Any) -> Any:  # noqa: ANN401
    if type(value) is kind:
        return value
    if kind is float and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    raise ValueError(f"{value!r} is not {kind.__name__}")


_FIELDS = {name: _Fields(kind) for name, kind in KINDS.items()}
