"""Arguments that users give to `init` and to a run."""

import math
import operator
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cnn_engine.config.limits import MAX_EPOCHS
from cnn_engine.errors import ConfigError
from cnn_engine.runlog.roles import ROLES
from cnn_engine.texts import listed

MODES = ("disabled", "online", "offline", "shared")
"""Modes of W&B; all but the first record the run."""

MAX_SHOWN = 80
"""Characters of a wrong argument in a message."""


def to_integer(value: object) -> int | None:
    """Return a number without its fraction; None if it is no finite number."""
    try:
        if isinstance(value, float):
            return int(value) if math.isfinite(value) else None
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def whole_number(name: str, value: object) -> int:
    """Return a number of epochs or steps, 0 for None, at most `MAX_EPOCHS`.

    Raises:
        ConfigError: it is no whole number from 0.
    """
    if value is None:
        return 0
    number = to_integer(value)
    if number is None or number != value or number < 0:
        raise ConfigError(f"{name}: a whole number from 0 is expected, not {shown(value)}")
    return min(number, MAX_EPOCHS)


def names(argument: str, values: object) -> tuple[str, ...]:
    """Return a list of names as texts; empty for None.

    Raises:
        ConfigError: it is a single text, or nothing that has items.
    """
    if values is None:
        return ()
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ConfigError(f"{argument}: a list of names is expected, not {shown(values)}")
    return tuple(str(value) for value in values)


def runs_directory(argument: str, path: object) -> Path:
    """Return a path.

    Raises:
        ConfigError: it cannot be a path.
    """
    try:
        found = Path(path).expanduser()  # type: ignore[arg-type]
        if "\0" not in str(found):
            return found
    except (TypeError, RuntimeError):  # no path; no home directory
        pass
    raise ConfigError(f"{argument}: {shown(path)} is no path of a directory")


def check_mode(argument: str, mode: object) -> None:
    """Refuse an unknown mode.

    Raises:
        ConfigError: it is unknown.
    """
    if mode not in (None, "", *MODES):
        raise ConfigError(f"{argument}: {shown(mode)} is none of {', '.join(MODES)}")


def check_roles(roles: object) -> None:
    """Refuse roles that do not exist.

    Raises:
        ConfigError: this is not a dictionary with names of series by role.
    """
    if roles is None:
        return
    if not isinstance(roles, Mapping) or not all(isinstance(name, str) for name in roles.values()):
        raise ConfigError("roles: a dictionary is expected, such as {'val_loss': NAME_OF_SERIES}")
    wrong = sorted(str(role) for role in set(roles) - set(ROLES))
    if wrong:
        raise ConfigError(f"roles: {listed(wrong)} is none of {', '.join(ROLES)}")


def check_iterable(call: str, value: object, expected: str) -> None:
    """Refuse what cannot be iterated over.

    Raises:
        TypeError: as a loop over it would raise.
    """
    kind = type(value)
    if not (hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")):
        text = f"{call}: {shown(value)} is not iterable; {expected}"
        raise TypeError(text)


def check_lengths(truth: Any, predicted: Any) -> None:
    """Refuse true and predicted classes of different lengths.

    Raises:
        ConfigError: they differ.
    """
    if not (hasattr(truth, "__len__") and hasattr(predicted, "__len__")):
        return  # iterators
    with suppress(TypeError):  # a tensor without dimensions
        lengths = len(truth), len(predicted)
        if lengths[0] != lengths[1]:
            text = f"{lengths[0]:,} true classes and {lengths[1]:,} predicted ones"
            raise ConfigError(f"{text}: one of each for every image is expected")


def shown(value: object) -> str:
    """Return a wrong argument in one short line."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001 - an object of the user may raise anything
        text = type(value).__name__
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
