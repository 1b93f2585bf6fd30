"""A file that another process replaces from time to time, read again when it has."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from cnn_engine.errors import UserError

Value = TypeVar("Value")


class WatchedFile(Generic[Value]):
    """What a file holds, as far as it can be read."""

    def __init__(self, path: Path, read: Callable[[Path], Value]) -> None:
        """Nothing is read yet.

        Args:
            path: The file.
            read: Reads it; raises UserError where it cannot be read.
        """
        self._path, self._read = path, read
        self._seen: object = None
        self.value: Value | None = None
        """What it holds; None where it is not there, or cannot be read."""
        self.error = ""
        """Why it cannot be read, if that is so."""

    def refresh(self) -> None:
        """Read it if it has changed, or could not be read."""
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen != self._seen:
                self.value, self.error = self._read(self._path), ""
                self._seen = seen
        except FileNotFoundError:
            self._clear("")
        except UserError as error:
            self._clear(str(error))
        except OSError as error:
            self._clear(f"{self._path}: cannot be read: {error.strerror}")

    def _clear(self, error: str) -> None:
        self.value, self.error, self._seen = None, error, None
