"""Configs by dotted keys, such as `optimizer.lr`, instead of tables within tables."""

from collections.abc import Mapping
from typing import Any


def dotted_keys(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a config by dotted key.

    Args:
        tables: Values, or tables of values, by key.
        prefix: Start of the keys, with a dot at its end; empty at the top level.
    """
    values: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, dict):
            values |= dotted_keys(value, f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = value
    return values
