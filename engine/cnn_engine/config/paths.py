"""Paths as users write them."""

from pathlib import Path


def expand_home(path: str) -> str:
    """Return the path with `~` and `~user` expanded, unless that home directory is unknown.

    Shells expand `~` only at the start of a word, not in `--data-dir=~/photos`.
    """
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        return path
