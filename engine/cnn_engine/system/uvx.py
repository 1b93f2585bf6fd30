"""Environments that `uvx` makes for one call."""

import sys
from pathlib import Path


def is_uvx() -> bool:
    """Return True if `uvx` has started this program, whose path is then one of uv's cache."""
    return Path(sys.prefix).parent.name.startswith("archive-v")
