"""A run's log on disk: appended to by one writer, read by any number of readers.

Reading a finished log, following one that is being written and replaying one in a test are the
same code: `LogReader.poll` gives whatever complete lines have been added since it was last asked.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from cnn_engine.errors import RunHeldError, StorageError
from cnn_engine.runlog.events import Event
from cnn_engine.runlog.lines import from_line, to_line

CHUNK_BYTES = 1 << 20

HOLD_SECONDS = 0.5
"""How long a log is tried to be had: whoever asks whether it is held holds it for a moment."""


class LogWriter:
    """Appends events to a log that no other process may write."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        """Open or create the log, and hold it until `close` or the end of the process.

        Args:
            path: The log.
            descriptor: Its descriptor, where another process held it and has handed it over.

        Raises:
            RunHeldError: another process holds it.
            StorageError: it cannot be opened.
        """
        self.descriptor = _held(path) if descriptor is None else descriptor
        """Of the log; a process that inherits it holds the log from then on."""
        self._path = path
        self.was_torn = _ends_torn(self.descriptor)
        """Whether the last line lacked its newline, as where a writer died: it is a line of its own
        now, and damaged."""
        self._unwritten = b"\n" if self.was_torn else b""
        self.write_error = ""
        """Why the log cannot be written now; empty when it can."""

    def append(self, event: Event) -> None:
        """Add one line with one write. What a full disk refuses is kept for the next call."""
        self._unwritten += to_line(event).encode() + b"\n"
        try:
            written = os.write(self.descriptor, self._unwritten)
        except OSError as error:
            # Kept in _unwritten; close() raises if it never could be written.
            self.write_error = error.strerror or str(error)
            return
        self._unwritten = self._unwritten[written:]
        if not self._unwritten:
            self.write_error = ""

    def sync(self) -> None:
        """Bring what is written to disk.

        Raises:
            OSError: the disk refuses.
        """
        os.fsync(self.descriptor)

    def flush(self) -> None:
        """Write what could not be written so far.

        Raises:
            StorageError: it still cannot be.
        """
        try:
            while self._unwritten:
                written = os.write(self.descriptor, self._unwritten)
                self._unwritten = self._unwritten[written:]
        except OSError as error:
            lost = self._unwritten.count(b"\n")
            message = f"{self._path}: the last {lost} events could not be written: {error.strerror}"
            raise StorageError(message) from None

    def close(self) -> None:
        """Release the log.

        Raises:
            StorageError: some events never could be written.
        """
        try:
            self.flush()
        finally:
            os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _held(path: Path) -> int:
    """Descriptor of the log, which this process holds alone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
    if not _hold(descriptor):
        os.close(descriptor)
        raise RunHeldError(f"{path.parent}: another process is writing this run")
    return descriptor


def _hold(descriptor: int) -> bool:
    """Take the log for this process alone; whether no other has it."""
    deadline = time.monotonic() + HOLD_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(HOLD_SECONDS / 50)
        else:
            return True


def _ends_torn(descriptor: int) -> bool:
    """Whether the last line lacks its newline."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


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

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Read from an offset in bytes, which is 0 or the end of a line."""
        self._path = path
        self._offset = offset
        self._rest = b""
        self.bytes_read = offset
        """Bytes from the file's beginning to the end of the last line that was given."""
        self.restarts = 0
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
            self._offset, self._rest, self.bytes_read = 0, b"", 0
            self.restarts += 1
        file.seek(self._offset)
        while chunk := file.read(CHUNK_BYTES):
            self._offset += len(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self.bytes_read += len(line) + 1
                yield line


class LogReader:
    """Reads a log from its beginning, and goes on as it grows."""

    def __init__(self, path: Path) -> None:
        self._lines = LineReader(path)
        self.damaged_lines = 0
        """Lines so far that were not events."""

    @property
    def restarts(self) -> int:
        """How often its reading began anew, as the log was replaced by another."""
        return self._lines.restarts

    @property
    def bytes_read(self) -> int:
        """Bytes from the log's beginning to the end of the last event that was given."""
        return self._lines.bytes_read

    def poll(self) -> Iterator[Event]:
        """The events added since. Events of kinds that this version does not know are left out."""
        for line in self._lines.poll():
            try:
                event = from_line(line)
            except ValueError:
                self.damaged_lines += 1
                continue
            if event is not None:
                yield event
