"""Reports of progress."""

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with a description, units done, and total units (0 if unknown); may raise to abort."""


def no_progress(task: str, done: int, total: int) -> None:
    """Report nothing."""
