"""Configs of other loops and programs as events store them: flat keys, such as `optimizer.lr`."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from cnn_engine.errors import error_text

MAX_KEYS = 1000
MAX_TEXT = 1000
"""Keys of a config, and characters of a key or a value as text; the rest is cut."""

NATIVE = (type(None), bool, int, float)
"""Types of values that are stored as they are."""

MAX_DEPTH = 10
"""Levels of nested dictionaries; deeper ones are kept as text."""


PLANNED_EPOCHS = "epochs", "num_train_epochs", "max_epochs", "num_epochs"
"""Keys of the planned number of epochs."""


def config_values(config: object) -> dict[str, Any]:
    """Return the keys and values of a dictionary, a dataclass, a namespace or another object.

    Something without keys becomes the text of the key `config`.
    """
    if config is None:
        return {}
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {str(key): value for key, value in config.items()}
    try:
        return {str(key): value for key, value in vars(config).items() if key[:1] != "_"}
    except TypeError:
        return {"config": config}


def flat_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with the values of nested tables by flat keys."""
    stored: dict[str, Any] = {}
    _flatten(config, "", stored, 0)
    return stored


def planned_epochs(config: Mapping[str, Any]) -> int:
    """Return the planned number of epochs in a flat config; 0 if unknown."""
    for name in PLANNED_EPOCHS:
        value = config.get(name, 0)
        if isinstance(value, int | float) and value is not True and 0 < value < 1 << 53:
            return math.ceil(value)
    return 0


def _flatten(values: Mapping[str, Any], prefix: str, stored: dict[str, Any], depth: int) -> None:
    for key, value in values.items():
        if len(stored) >= MAX_KEYS:
            return
        name = f"{prefix}{key}"[:MAX_TEXT]
        is_table = isinstance(value, Mapping) and len(value) > 0
        is_table |= dataclasses.is_dataclass(value) and not isinstance(value, type)
        if is_table and depth < MAX_DEPTH:
            _flatten(config_values(value), f"{name}.", stored, depth + 1)
        else:
            stored[name] = _storable(value)


def _storable(value: object) -> object:
    """Return a value that JSON can hold: a number, a text, or a list of these."""
    is_number = isinstance(value, int) and -(1 << 63) <= value < 1 << 63
    is_number |= isinstance(value, float) and math.isfinite(value)
    if type(value) in NATIVE and (value is None or is_number):
        return value
    try:
        if isinstance(value, list | tuple) and len(value) <= MAX_KEYS:
            items = [_storable(item) for item in value]
            if len(json.dumps(items)) <= MAX_TEXT:
                return items
        return str(value)[:MAX_TEXT]
    except Exception as error:  # noqa: BLE001 - an object of the user may raise anything
        return error_text(error)[:MAX_TEXT]
