"""Reading JSON that anybody may have written: whole, of bearable size, of the types expected."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from msgspec import Meta

from cnn_engine.errors import ConfigError, DataError

Count: TypeAlias = Annotated[int, Meta(ge=0, lt=2**62)]
"""A count or an index."""

PositiveCount: TypeAlias = Annotated[int, Meta(ge=1, lt=2**62)]

Probability: TypeAlias = Annotated[float, Meta(ge=0, le=1)]

Finite: TypeAlias = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""A number that is neither infinite nor NaN."""


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
