"""The config of a loop: what the user gives as `config=`."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from cnn_engine.errors import error_text
from cnn_engine.runlog.events import LOOP_TABLE

MAX_KEYS = 1000
MAX_TEXT = 1000
"""Keys of a config, and characters of a key or a value as text; the rest is cut."""

NATIVE = (type(None), bool, int, float)
"""Types of values that are stored as they are."""

MAX_DEPTH = 5
"""Levels of nested dictionaries; deeper ones are kept as text."""


class Config(dict[str, Any]):
    """Config of a run, with its keys as attributes too: `config.lr`; changes are recorded."""

    def __init__(self, values: Mapping[str, Any], changed: Callable[[], None]) -> None:
        super().__init__(values)
        object.__setattr__(self, "_changed", changed)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the config has no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._changed()

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """Pickle a plain dictionary, as checkpoints contain configs."""
        return dict, (dict(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Config":
        """Return a copy whose changes are not recorded."""
        return Config(deepcopy(dict(self), memo), lambda: None)

    def __copy__(self) -> "Config":
        """Return a copy whose changes are not recorded."""
        return Config(self, lambda: None)

    def update(self, values: Any = None, /, **more: Any) -> None:
        """Set several keys, from what `init` takes as a config."""
        more.pop("allow_val_change", None)
        super().update(config_values(values) | more)
        self._changed()

    def setdefaults(self, values: Any) -> None:
        """Set the keys that are missing."""
        self.update({key: value for key, value in config_values(values).items() if key not in self})

    def as_dict(self) -> dict[str, Any]:
        """Return a copy as a plain dictionary."""
        return dict(self)


def config_values(config: Any) -> dict[str, Any]:
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


def stored_config(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a config as events store it: a table of flat keys, such as `optimizer.lr`."""
    stored: dict[str, Any] = {}
    _flatten(config, "", stored, 0)
    return {LOOP_TABLE: stored} if stored else {}


def _flatten(values: Mapping[str, Any], prefix: str, stored: dict[str, Any], depth: int) -> None:
    for key, value in values.items():
        if len(stored) >= MAX_KEYS:
            return
        name = f"{prefix}{key}"[:MAX_TEXT]
        is_table = isinstance(value, Mapping) or dataclasses.is_dataclass(value)
        if is_table and not isinstance(value, type) and depth < MAX_DEPTH:
            _flatten(config_values(value), f"{name}.", stored, depth + 1)
        else:
            stored[name] = _storable(value)


def _storable(value: Any) -> Any:
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
