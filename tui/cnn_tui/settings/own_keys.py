"""Reads own keys of the dashboard; the dashboard itself checks their ids and names."""

from collections.abc import Iterator, Mapping
from typing import Any

from cnn_tui.settings.values import CONTROL

COMMA = "comma"
"""Textual's name of the key that separates keys."""


def keys_of_table(table: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Yield ids of keys, such as `run.pause`, with Textual's names of the own keys.

    None in place of the names stands for a value that cannot be names of keys.

    Args:
        table: The table `keys` of a file, with or without a table for each scope.
    """
    for name, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{rest}", keys) for rest, keys in keys_of_table(value))
        else:
            yield name, _names(value)


def keys_of_variable(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield ids and names of keys from words such as `run.pause=space`."""
    for word in text.split():
        id_, equals, names = word.partition("=")
        yield id_, _names(names) if equals else None


def _names(value: object) -> str | None:
    names = value if isinstance(value, list) else _split(value) if isinstance(value, str) else []
    if not names or not all(isinstance(name, str) and name for name in names):
        return None
    if not CONTROL.isdisjoint("".join(names)):
        return None
    return ",".join(COMMA if name == "," else name.strip() for name in names)


def _split(value: str) -> list[str]:
    return [value] if value == "," else [name.strip() for name in value.split(",")]
