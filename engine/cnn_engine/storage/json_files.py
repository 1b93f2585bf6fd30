"""Validated reading of untrusted JSON files, with a size limit."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from cnn_engine.errors import ConfigError, DataError

T = TypeVar("T")

Count: TypeAlias = Annotated[int, Meta(ge=0, lt=2**62)]
"""A count or an index."""

PositiveCount: TypeAlias = Annotated[int, Meta(ge=1, lt=2**62)]

Probability: TypeAlias = Annotated[float, Meta(ge=0, le=1)]

Finite: TypeAlias = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""A number that is neither infinite nor NaN."""


class _Head(msgspec.Struct):
    """Field that every file has."""

    format: int
    """Version of the file's format."""


def read_json(path: Path, type_: type[T], *, format_: int, max_bytes: int) -> T:
    """Read a JSON file and validate it by type.

    Args:
        path: The file. Only a regular file is read: a pipe may never end.
        type_: Type of the content; unknown keys are ignored.
        format_: Newest supported version of the format, which the file names as `format`.
        max_bytes: Larger files are refused.

    Raises:
        DataError: the file is missing, too large, damaged, or of another type.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    return _decode(path, _read(path, max_bytes), type_, format_)


def read_json_header(
    path: Path, type_: type[T], *, format_: int, max_bytes: int
) -> tuple[T, bytes]:
    """Read a JSON object from a file's first line, and return it with the bytes that follow.

    Arguments and errors are those of `read_json`.
    """
    line, _, rest = _read(path, max_bytes).partition(b"\n")
    return _decode(path, line, type_, format_), rest


def damaged(path: Path, error: ValueError) -> DataError:
    """Return the error for a file whose content is invalid."""
    return DataError(f"{path}: is damaged, or was not written by cnn-tui: {error}")


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        if not path.is_file():
            raise DataError(f"{path}: there is no such file")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > max_bytes:
                raise DataError(f"{path}: is over {max_bytes:,} bytes; not written by cnn-tui")
            return file.read(max_bytes)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _decode(path: Path, text: bytes, type_: type[T], format_: int) -> T:
    try:
        # Not by msgspec: file names that are not UTF-8 are written with lone surrogates.
        content = json.loads(text)
        version = msgspec.convert(content, _Head).format
    except RecursionError:
        raise damaged(path, ValueError("nested too deeply")) from None
    except ValueError as error:
        raise damaged(path, error) from None
    if version > format_:
        raise ConfigError(f"{path}: was written by a newer version of cnn-tui; use that version")
    try:
        return msgspec.convert(content, type_)
    except ValueError as error:
        raise damaged(path, error) from None
