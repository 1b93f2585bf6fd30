"""Checks values of settings, and reads them from variables."""

import re
from typing import Any, Literal, get_args, get_origin

from msgspec import ValidationError, convert

from cnn_tui.settings.fields import Setting

TRUE, FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
"""Values of variables, in any case."""

CONTROL = frozenset(map(chr, (*range(9), *range(11, 32), 127)))
"""Characters that are in no path, address or command on purpose; tab and newline may be."""

ADDRESS = r"(\w+://)(?:[^\s/@]*@)?([^\s/?#]*)[^\s]*"
"""A web address: its scheme, host and rest."""

MAX_SHOWN = 100
"""Maximum number of characters of a wrong value in a message."""


class WrongValueError(ValueError):
    """A value that a setting cannot have; says which values it can."""


def checked(setting: Setting, value: object) -> Any:  # noqa: ANN401 - any setting
    """Return a value from the file as that of a setting; a text is taken for a list of one.

    Raises:
        WrongValueError: it cannot have this value.
    """
    if get_origin(setting.kind) is not list:
        return _checked(setting.type, value)
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise WrongValueError(f'must be a list, such as ["…"] (got {_shown(value)})')
    return [_checked(get_args(setting.kind)[0], item) for item in items]


def parse(setting: Setting, text: str) -> Any:  # noqa: ANN401 - any setting
    """Return the value of a setting from that of its variable.

    Raises:
        WrongValueError: it cannot have this value.
    """
    value: object = text
    if setting.kind is bool:
        if text.lower() not in TRUE + FALSE:
            raise WrongValueError(f"must be 1 or 0 (got {_shown(text)})")
        value = text.lower() in TRUE
    elif setting.kind is int and text.isdecimal() and len(text) < MAX_SHOWN:
        value = int(text)
    elif get_origin(setting.kind) is list:
        value = (text if "://" in text else text.replace(",", " ")).split()
    return checked(setting, value)


def _checked(kind: Any, value: object) -> Any:  # noqa: ANN401 - any type
    if isinstance(value, str) and not CONTROL.isdisjoint(value):
        raise WrongValueError(f"contains control characters: {_shown(value)}")
    try:
        return convert(value, type=kind)
    except ValidationError:
        raise WrongValueError(_requirement(kind, value)) from None


def choices(kind: Any) -> tuple[str, ...]:  # noqa: ANN401 - any type
    """Return the values of a type that has a few; empty for one with any number."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(map(str, getattr(kind, "__members__", {}).values()))


def masked(text: str) -> str:
    """Return a text with only the host of an address, whose path may be a secret."""
    found = re.search(ADDRESS, text)
    return text if found is None else f"{text[: found.start()]}{found[1]}{found[2]}/…"


def _requirement(kind: Any, value: object) -> str:  # noqa: ANN401 - any type
    plain, *metas = get_args(kind) if hasattr(kind, "__metadata__") else (kind,)
    if known := choices(plain):
        from cnn_engine.config.suggestion import suggest  # noqa: PLC0415 - only for a mistake

        hint = suggest(value, known) if isinstance(value, str) else ""
        return f"{_shown(value)} is not one of {', '.join(known)}{hint}"
    if plain is bool:
        return f"must be true or false, without quotes (got {_shown(value)})"
    if plain is int:
        return f"must be a whole number from {metas[0].ge} to {metas[0].le} (got {_shown(value)})"
    return f"must be a text in quotes (got {_shown(value)})"


def _shown(value: object) -> str:
    """Return a wrong value as Python writes it; of an address, which is a secret, only the host."""
    text = repr(masked(value) if isinstance(value, str) else value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
