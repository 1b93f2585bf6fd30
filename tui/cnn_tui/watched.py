"""A file that another process replaces from time to time, read again when it has."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from cnn_engine.errors import UserError

Value = TypeVar("Value")


class Watched(Generic[Value]):
    """What a file holds, as far as it can be read."""

    def __init__(self, path: Path, read: Callable[[Path], Value]) -> None:
        """Nothing is read yet.

        Args:
            path: The file.
            read: Reads it; raises UserError where it is damaged, OSError where it cannot be read.
        """
        self._path, self._read = path, read
        self._seen: object = None
        self.value: Value | None = None
        """What it holds; None where it is not there, or cannot be read."""
        self.trouble = ""
        """Why it cannot be read, if that is so."""

    def look(self) -> None:
        """Read it if it has changed."""
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen == self._seen:
                return
            self.value, self.trouble, self._seen = None, "", seen
            self.value = self._read(self._path)
        except FileNotFoundError:
            self.value, self.trouble, self._seen = None, "", None
        except UserError as error:
            self.trouble = str(error)
        except OSError as error:  # as of a network that comes and goes: to be tried again
            self.value, self._seen = None, None
            self.trouble = f"{self._path}: cannot be read now: {error.strerror}"
