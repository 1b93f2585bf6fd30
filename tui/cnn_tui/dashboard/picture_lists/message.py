"""A list without images, and the reason for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn


@dataclass(frozen=True)
class Message:
    """Sentences in place of images."""

    heading: str
    reasons: tuple[str, ...]
    notes: Sequence[str] = ()
    names: Sequence[str] = ()

    def title(self, width: int) -> str:  # noqa: ARG002 - as other lists
        """Return the heading."""
        return self.heading

    def tile(self, index: int) -> NoReturn:
        """Raise IndexError: there are no images."""
        raise IndexError(index)
