"""A run's log on disk: appended to by one writer, read by any number of readers.

Reading a finished log, following one that is being written and replaying one in a test are the
same code: `LogReader.poll` gives whatever complete lines have been added since it was last asked.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from cnn_engine import event_lines
from cnn_engine.errors import StorageError
from cnn_engine.events import Event

CHUNK_BYTES = 1 << 20


class LogWriter:
    """Appends events to a log that no other process may write."""

    def __init__(self, path: Path) -> None:
        """Open or create the log, and hold it until `close` or the end of the process.

        Raises:
            StorageError: it cannot be opened, or another process holds it.
        """
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise StorageError(f"{path.parent}: another process is writing this run") from None
        self._path = path
        self._unwritten = b""

    def append(self, event: Event) -> None:
        """Add one line with one write. What a full disk refuses is kept for the next call."""
        self._unwritten += event_lines.to_line(event).encode() + b"\n"
        try:
            written = os.write(self._descriptor, self._unwritten)
        except OSError:
            return  # kept in _unwritten; close() raises if it never could be written
        self._unwritten = self._unwritten[written:]

    def close(self) -> None:
        """Release the log.

        Raises:
            StorageError: some events never could be written.
        """
        try:
            while self._unwritten:
                written = os.write(self._descriptor, self._unwritten)
                self._unwritten = self._unwritten[written:]
        except OSError as error:
            lost = self._unwritten.count(b"\n")
            message = f"{self._path}: the last {lost} events could not be written: {error.strerror}"
            raise StorageError(message) from None
        finally:
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_held(path: Path) -> bool:
    """Whether a process on this machine has the log open for writing."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


class LineReader:
    """Complete lines of a file that may be growing, each given once.

    The file is opened anew for every look, so that on a network file system its size is asked of
    the server. A file that has become shorter is another one, and is read from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self.beginnings = 0
        """How often its reading began anew, as the file was replaced."""

    def poll(self) -> Iterator[bytes]:
        """The lines added since, without their newlines. A torn last line waits for its rest.

        A file that does not exist yet has no lines, nor one that a server has just replaced.

        Raises:
            OSError: it cannot be read now; another look may be luckier.
        """
        try:
            with self._path.open("rb") as file:
                yield from self._new_lines(file)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise

    def _new_lines(self, file: BinaryIO) -> Iterator[bytes]:
        if os.fstat(file.fileno()).st_size < self._offset:
            self._offset, self._rest = 0, b""
            self.beginnings += 1
        file.seek(self._offset)
        while chunk := file.read(CHUNK_BYTES):
            self._offset += len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            yield from lines


class LogReader:
    """Reads a log from its beginning, and goes on as it grows."""

    def __init__(self, path: Path) -> None:
        self._lines = LineReader(path)
        self.damaged_lines = 0
        """Lines so far that were not events."""

    @property
    def beginnings(self) -> int:
        """How often its reading began anew, as the log was replaced by another."""
        return self._lines.beginnings

    def poll(self) -> Iterator[Event]:
        """The events added since. Events of kinds that this version does not know are left out."""
        for line in self._lines.poll():
            try:
                event = event_lines.from_line(line)
            except ValueError:
                self.damaged_lines += 1
                continue
            if event is not None:
                yield event
