"""Paths as users write them."""

import os
from pathlib import Path


def expand_home(path: str) -> str:
    """Return the path with `~` and `~user` expanded, unless that home directory is unknown.

    Shells expand `~` only at the start of a word, not in `--data-dir=~/photos`.
    """
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        return path


def exists(path: Path | str) -> bool:
    """Return True if the path exists; False if it cannot be accessed."""
    return os.path.exists(path)  # noqa: PTH110 - `Path.exists` raises if the name is too long


def is_directory(path: Path | str) -> bool:
    """Return True if the path is a directory; False if it cannot be accessed."""
    return os.path.isdir(path)  # noqa: PTH112 - `Path.is_dir` raises if the name is too long


def is_file(path: Path | str) -> bool:
    """Return True if the path is a regular file; False if it cannot be accessed."""
    return os.path.isfile(path)  # noqa: PTH113 - `Path.is_file` raises if the name is too long
