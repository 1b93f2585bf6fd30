"""A file that another process replaces, read again after each change."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from cnn_engine.errors import UserError

Value = TypeVar("Value")


class WatchedFile(Generic[Value]):
    """The content of a file, or the error from reading it."""

    def __init__(self, path: Path, read: Callable[[Path], Value]) -> None:
        """Create a file that is not read yet.

        Args:
            path: The file.
            read: Reads the file; may raise UserError.
        """
        self._path, self._read = path, read
        self._stamp: object = None
        self.value: Value | None = None
        """The content; None if there is no file, or it cannot be read."""
        self.error = ""
        """The error from reading it; empty if there is none."""

    @property
    def exists(self) -> bool:
        """True if there was a file when it was last read, perhaps a damaged one."""
        return self.value is not None or bool(self.error)

    def refresh(self) -> None:
        """Read the file if it has changed, or could not be read before."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                self.value, self.error = self._read(self._path), ""
                self._stamp = stamp
        except FileNotFoundError:
            self._clear("")
        except UserError as error:
            self._clear(str(error))
        except OSError as error:
            self._clear(f"{self._path}: cannot be read: {error.strerror}")

    def _clear(self, error: str) -> None:
        self.value, self.error, self._stamp = None, error, None
