"""Reading JSON that anybody may have written: whole, of bearable size, of the types expected."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnn_engine.errors import ConfigError, DataError

MAX_NUMBER = 2**62
"""What any count or index is below."""


def read_object(path: Path, format_: int, most_bytes: int) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: The file; anything but a regular one is refused, as it may never end.
        format_: Newest version of its format that is understood.
        most_bytes: A larger file is refused.

    Raises:
        DataError: it is missing, too large, damaged, or something else.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    return _object(path, _content(path, most_bytes), format_)


def read_object_and_bytes(
    path: Path, format_: int, most_bytes: int
) -> tuple[dict[str, Any], bytes]:
    """The JSON object in a file's first line, and the bytes behind that line.

    Raises:
        DataError: as for `read_object`.
        ConfigError: likewise.
    """
    line, _, rest = _content(path, most_bytes).partition(b"\n")
    return _object(path, line, format_), rest


def _content(path: Path, most_bytes: int) -> bytes:
    try:
        if not path.is_file():
            raise DataError(f"{path}: there is no such file")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > most_bytes:
                raise DataError(f"{path}: is over {most_bytes:,} bytes; not written by cnn-tui")
            return file.read(most_bytes)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _object(path: Path, text: bytes, format_: int) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"{path}: is damaged, or was not written by cnn-tui") from None
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise DataError(f"{path}: is damaged, or was not written by cnn-tui")
    if content["format"] > format_:
        raise ConfigError(f"{path}: was written by a newer version of cnn-tui; use that, or newer")
    return content


def not_ours(path: Path, error: ValueError) -> DataError:
    """What to raise where a field was missing, or something else."""
    return DataError(f"{path}: is damaged, or was not written by cnn-tui: {error}")


class Fields:
    """Fields of a JSON object, taken out as what they have to be.

    Every method raises ValueError where a field is missing, or is something else.
    """

    def __init__(self, values: object) -> None:
        if not isinstance(values, Mapping):
            raise ValueError(f"{type(values).__name__} is no object")
        self._values = values

    def text(self, key: str) -> str:
        """A string."""
        return _text(self._values.get(key))

    def integer(self, key: str, least: int, below: int) -> int:
        """An integer in `range(least, below)`."""
        return _integer(self._values.get(key), least, below)

    def share(self, key: str) -> float:
        """A number from 0 to 1."""
        return _share(self._values.get(key))

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        return tuple(map(_number, self.items(key)))

    def items(self, key: str) -> list[Any]:
        """A list of anything."""
        value = self._values.get(key)
        if not isinstance(value, list):
            raise ValueError(f"{key} is no list")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of strings."""
        return list(map(_text, self.items(key)))

    def integers(self, key: str, least: int, below: int) -> list[int]:
        """A list of integers in `range(least, below)`."""
        return [_integer(value, least, below) for value in self.items(key)]

    def sizes(self, key: str, below: int, count: int | None = None) -> tuple[int, ...]:
        """A list of integers greater than 0; as many as asked for, if so."""
        sizes = tuple(self.integers(key, 1, below))
        if count is not None and len(sizes) != count:
            raise ValueError(f"{key} has {len(sizes)} sizes instead of {count}")
        return sizes

    def shares(self, key: str) -> list[float]:
        """A list of numbers from 0 to 1."""
        return list(map(_share, self.items(key)))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _integer(value: object, least: int, below: int) -> int:
    if type(value) is not int or not least <= value < below:
        raise ValueError(f"{value!r} is no integer from {least} to {below - 1}")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:  # type: ignore[arg-type]
        raise ValueError(f"{str(value)[:50]} is no finite number")
    return float(value)  # type: ignore[arg-type]


def _share(value: object) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:  # type: ignore[operator]
        raise ValueError(f"{value!r} is no number from 0 to 1")
    return float(value)  # type: ignore[arg-type]
