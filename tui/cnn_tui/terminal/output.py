"""Standard streams whose failure ends a command with one line instead of a traceback.

Loaded before anything else, so it imports little.
"""

import errno
import os
import select
import signal
import sys
from collections.abc import Callable
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from cnn_engine.errors import StorageError
from cnn_tui.terminal.signals import HANGUP_EXIT_CODE

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PIPE_EXIT_CODE = 128 + signal.SIGPIPE
"""Exit code if the reader of a pipe ended first, as with `| head`."""


def prepare_standard_streams() -> None:
    """Replace stdout and stderr by streams that end the command if they cannot be written.

    Streams that were closed before the start are opened, so that no file takes their descriptor:
    stdin is empty, stdout fails when it is written, stderr is discarded.
    """
    for descriptor, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - a descriptor
    sys.stdout = _stream(1, sys.stdout, _fail)
    sys.stderr = _stream(2, sys.stderr, lambda _: None)


class _OutputFile(FileIO):
    """A descriptor that is discarded after an error."""

    def __init__(self, descriptor: int, on_error: Callable[[OSError], None]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._is_terminal = self.isatty()
        self._on_error = on_error

    def write(self, content: "ReadableBuffer") -> int:
        """Write some of the content and return the number of bytes.

        Raises:
            SystemExit: the terminal or the reader of the pipe is gone.
        """
        try:
            # None: another program has made the terminal or the pipe non-blocking.
            while (written := super().write(content)) is None:
                select.select([], [self.fileno()], [])
        except OSError as error:
            self._discard()
            if error.errno == errno.EIO and self._is_terminal:
                raise SystemExit(HANGUP_EXIT_CODE) from None
            if error.errno == errno.EPIPE:
                raise SystemExit(PIPE_EXIT_CODE) from None
            self._on_error(error)
            return memoryview(content).nbytes
        return written

    def _discard(self) -> None:
        """Redirect the descriptor, because the rest of the output is written at exit."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)


def _fail(error: OSError) -> None:
    raise StorageError(f"standard output: cannot be written: {error.strerror}")


def _stream(
    descriptor: int, stream: TextIO | None, on_error: Callable[[OSError], None]
) -> TextIOWrapper:
    """Return a text stream in place of another one, or of one that was closed."""
    raw = _OutputFile(descriptor, on_error)
    is_unbuffered = isinstance(stream, TextIOWrapper) and stream.write_through
    return TextIOWrapper(
        BufferedWriter(raw),
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",
        line_buffering=descriptor == 2 or raw.isatty() or is_unbuffered,
    )
