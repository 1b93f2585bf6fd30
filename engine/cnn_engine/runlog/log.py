"""The log of a run on disk: one writer appends, any number of readers follow.

Finished logs, growing logs and logs in tests are read by the same code: `LogReader.poll` yields the
events added since the last call.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from cnn_engine.errors import RunHeldError, StorageError
from cnn_engine.runlog.events import Event
from cnn_engine.runlog.lines import from_line, to_line
from cnn_engine.storage.locks import LOOK_SECONDS, open_locked
from cnn_engine.storage.regular_files import open_regular

CHUNK_BYTES = 1 << 18

MAX_LINE_BYTES = 1 << 26
"""A longer line is damaged, such as a file of zeros after a power cut; its content is not kept."""

GONE = "the run's directory was moved, removed or replaced"

GONE_ERRORS = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)

FULL = frozenset(map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))


def write_advice(write_error: str) -> str:
    """Return what to do about the reason why a log cannot be written, as a phrase."""
    if write_error == GONE:
        return "move the directory back, or nothing more is saved"
    if write_error in FULL:
        return "free disk space, or nothing more is saved"
    return "check the disk of the run's directory, or nothing more is saved"


class LogWriter:
    """Appends events to a log that it keeps locked."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        """Open or create the log, and lock it until `close` or the end of the process.

        Args:
            path: The log.
            descriptor: File descriptor of the log inherited from another process, with its lock.

        Raises:
            RunHeldError: another process has locked the log.
            StorageError: the log cannot be opened.
        """
        self.descriptor = _open_locked(path) if descriptor is None else descriptor
        """File descriptor of the log; a process that inherits it inherits the lock."""
        self._path = path
        self.was_torn = ends_torn(self.descriptor)
        """True if the last line had no newline, as when a writer was killed; it gets one, and
        counts as damaged."""
        self._unwritten = b"\n" if self.was_torn else b""
        self.write_error = ""
        """Reason why the log cannot be written now; empty if it can."""

    @property
    def unwritten_bytes(self) -> int:
        """Size of the events that could not be written so far."""
        return len(self._unwritten)

    def append(self, event: Event) -> None:
        """Append an event with a single write; if that fails, it is retried with the next event."""
        self._unwritten += to_line(event).encode() + b"\n"
        try:
            written = os.write(self.descriptor, self._unwritten)
        except OSError as error:
            # The event stays in _unwritten; close() raises if it still cannot be written.
            self.write_error = error.strerror or str(error)
            return
        self._unwritten = self._unwritten[written:]
        if not self._unwritten:
            self.write_error = ""

    def is_in_place(self) -> bool:
        """Return True if the path still leads to this log."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - fast
        except OSError as error:
            return error.errno not in GONE_ERRORS  # the disk may be unreachable for a moment
        return os.path.samestat(found, os.fstat(self.descriptor))

    def sync(self) -> None:
        """Flush the written events to disk.

        Raises:
            OSError: the disk reports an error, or the path no longer leads to this log.
        """
        if not self.is_in_place():
            raise FileNotFoundError(errno.ENOENT, GONE, str(self._path))
        os.fsync(self.descriptor)

    def flush(self) -> None:
        """Write the events that could not be written so far.

        Raises:
            StorageError: they still cannot be written, or the path no longer leads to this log.
        """
        try:
            while self._unwritten:
                written = os.write(self.descriptor, self._unwritten)
                self._unwritten = self._unwritten[written:]
        except OSError as error:
            lost = self._unwritten.count(b"\n")
            message = f"{self._path}: the last {lost} events could not be written: {error.strerror}"
            raise StorageError(message) from None
        if not self.is_in_place():
            raise StorageError(f"{self._path.parent}: {GONE}: nothing more could be saved there")

    def close(self) -> None:
        """Close the log, which unlocks it, once its end is on disk.

        Raises:
            StorageError: events could not be written.
        """
        try:
            self.flush()
            self.sync()
        except OSError as error:
            message = f"{self._path}: its end could not be written: {error.strerror}"
            raise StorageError(message) from None
        finally:
            os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open_locked(path: Path) -> int:
    """Return the file descriptor of the log, locked by this process."""
    try:
        descriptor = open_locked(path, fcntl.LOCK_EX, LOOK_SECONDS, os.O_APPEND)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
    if descriptor is None:
        raise RunHeldError(f"{path.parent}: another process is writing this run")
    return descriptor


def ends_torn(descriptor: int) -> bool:
    """Return True if the last line has no newline."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


class LineReader:
    """Reads new complete lines of a file that may be growing.

    Each poll opens the file again, so that a network file system fetches its current size. A file
    that has become shorter was replaced, and is read from the start.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Read from an offset in bytes, which must be 0 or behind a newline."""
        self._path = path
        self._offset = offset
        self._rest: list[bytes] = []
        """Pieces of the incomplete last line; one NUL if that is too long."""
        self._rest_bytes = 0
        self.bytes_read = offset
        """Offset in bytes behind the last line that was returned."""
        self.restarts = 0
        """Number of times the file was replaced and read from the start."""

    def poll(self) -> Iterator[bytes]:
        """Yield the lines added since the last call, without their newlines.

        An incomplete last line is returned once it is complete. A file that does not exist yet, or
        was just replaced on a server, has no lines.

        Raises:
            OSError: the file cannot be read now; a later call may succeed.
        """
        try:
            with open_regular(self._path) as file:
                yield from self._new_lines(file)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ESTALE):
                raise

    def _new_lines(self, file: BinaryIO) -> Iterator[bytes]:
        if os.fstat(file.fileno()).st_size < self._offset:
            self._offset, self._rest, self._rest_bytes, self.bytes_read = 0, [], 0, 0
            self.restarts += 1
        file.seek(self._offset)
        while chunk := file.read(CHUNK_BYTES):
            self._offset += len(chunk)
            *lines, rest = chunk.split(b"\n")
            for line in lines:
                self.bytes_read += self._rest_bytes + len(line) + 1
                complete = b"".join((*self._rest, line))
                self._rest, self._rest_bytes = [], 0
                yield complete
            self._rest_bytes += len(rest)
            self._rest = [*self._rest, rest] if self._rest_bytes <= MAX_LINE_BYTES else [b"\0"]


class LogReader:
    """Reads the events of a log from its start, and new ones as it grows."""

    def __init__(self, path: Path) -> None:
        self._lines = LineReader(path)
        self.damaged_lines = 0
        """Number of lines so far that are not events."""

    @property
    def restarts(self) -> int:
        """Number of times the log was replaced and read from the start."""
        return self._lines.restarts

    @property
    def bytes_read(self) -> int:
        """Offset in bytes behind the last event that was returned."""
        return self._lines.bytes_read

    def poll(self) -> Iterator[Event]:
        """Yield the events added since the last call, except for those of unknown kinds.

        Raises:
            OSError: the log cannot be read now; a later call may succeed.
        """
        for line in self._lines.poll():
            try:
                event = from_line(line)
            except ValueError:
                self.damaged_lines += 1
                continue
            if event is not None:
                yield event
