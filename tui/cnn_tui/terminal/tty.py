"""The terminal device: exclusive use by the dashboard, loss, and restoration."""

import errno
import faulthandler
import os
import select
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from cnn_engine.errors import StorageError
from cnn_tui.terminal.environment import is_plain_terminal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

RESET_SEQUENCE = (
    b"\x1b[?2026l"  # end of a frame
    b"\x1b[?2004l\x1b[?7h\x1b[?2048l"  # no bracketed paste, line wrap, no size reports
    b"\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # no mouse
    b"\x1b[<u"  # the previous keyboard protocol, which belongs to the screen
    b"\x1b[0m\x1b[?1049l\x1b[?25h\x1b[?1004l"  # main screen, cursor, no focus reports
)
"""Escape sequences that reset all modes set by Textual."""

DEV_NULL = Path(os.devnull)


def notify(text: str, descriptor: int = 2) -> None:
    """Write a line to the user; safe in a signal handler."""
    from cnn_tui.terminal.ascii import in_ascii, is_ascii_only  # noqa: PLC0415 - imports rich

    shown = in_ascii(text) if is_ascii_only() else text
    with suppress(OSError):
        os.write(descriptor, f"cnn-tui: {shown}\n".encode())


class TerminalSettings:
    """Settings of the terminal before the dashboard starts, to restore if Textual cannot."""

    def __init__(self) -> None:
        self._settings: list[Any] | None = None
        with suppress(termios.error):  # the terminal may be gone
            self._settings = termios.tcgetattr(0)

    def restore(self, screen: int) -> None:
        """Restore the settings at once; `screen` is a descriptor of the terminal."""
        from cnn_tui.terminal.features import own_features, reset_sequence  # noqa: PLC0415 - rare

        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # the process may be in the background
        with suppress(OSError, termios.error):
            termios.tcflush(screen, termios.TCOFLUSH)  # a stalled terminal would block the write
            os.write(screen, RESET_SEQUENCE + reset_sequence(own_features()).encode())
            termios.tcflush(0, termios.TCIFLUSH)
            if self._settings:
                termios.tcsetattr(0, termios.TCSANOW, self._settings)


class _HangupProofFile(FileIO):
    """A descriptor whose writes never fail: after an error it is redirected to another file.

    Output must not end a training run. A lost terminal would also end Textual's writer thread, and
    any code that passes more output to that thread would block forever.
    """

    def __init__(self, descriptor: int, fallback: Callable[[], Path]) -> None:
        """Write to `descriptor`, or to the file that `fallback` returns after a hangup."""
        super().__init__(descriptor, "w", closefd=False)
        self._fallback = fallback
        self.failure = ""
        """Reason why output was lost; empty after a hangup or a closed pipe."""

    def write(self, content: "ReadableBuffer") -> int:
        """Write all of the content."""
        try:
            return super().write(content)
        except OSError as error:
            self._redirect(error)
            return self.write(content)

    def _redirect(self, error: OSError) -> None:
        """Redirect to the fallback file after a hangup, otherwise (closed pipe) to /dev/null."""
        path = self._fallback() if error.errno == errno.EIO else DEV_NULL
        if error.errno not in (errno.EIO, errno.EPIPE, errno.EBADF):
            self.failure = error.strerror or str(error)
        try:
            other = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError:
            other = os.open(DEV_NULL, os.O_WRONLY)
        os.dup2(other, self.fileno())
        os.close(other)


def hangup_proof_stream(
    descriptor: int, fallback: Callable[[], Path], encoding: str = "utf-8"
) -> TextIOWrapper:
    """Return a text stream that never fails and writes to `fallback()` after a hangup."""
    raw = BufferedWriter(_HangupProofFile(descriptor, fallback))
    return TextIOWrapper(raw, encoding=encoding, errors="replace", line_buffering=True)


def require_written(stream: TextIO) -> None:
    """Check that a hangup-proof stream has lost no output, as on a full disk.

    Raises:
        StorageError: it has.
    """
    stream.flush()
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    if isinstance(raw, _HangupProofFile) and raw.failure:
        raise StorageError(f"standard output: could not be written: {raw.failure}")


@contextmanager
def survive_hangup() -> Iterator[None]:
    """Let Textual survive the loss of the terminal.

    Textual draws on `sys.__stderr__` and queries `sys.__stdout__` for the size.
    """
    streams = sys.__stdout__, sys.__stderr__
    sys.stderr.flush()
    descriptor = os.dup(2)
    screen = hangup_proof_stream(descriptor, lambda: DEV_NULL)
    sys.__stdout__ = sys.__stderr__ = screen  # type: ignore[misc]
    try:
        yield
    finally:
        screen.close()
        sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]
        os.close(descriptor)


@contextmanager
def capture_output(console: Path) -> Iterator[None]:
    """Redirect file descriptors 1 and 2 to a file, except for what Textual draws.

    Libraries print, warn and write from C in any thread, which would corrupt the screen; so would
    the report of `faulthandler` on a crash in native code.
    """
    sys.stdout.flush()
    saved = os.dup(1), os.dup(2)
    with survive_hangup(), console.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        faulthandler.enable(log)
        try:
            yield
        finally:
            faulthandler.disable()
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, copy in enumerate(saved, start=1):
                os.dup2(copy, descriptor)
                os.close(copy)


def can_write() -> bool:
    """Return True if the terminal accepts output now; False if it is stopped or stalled."""
    if sys.__stderr__ is None:
        return False
    _, writable, _ = select.select([], [sys.__stderr__.fileno()], [], 0)
    return bool(writable)


def is_hung_up(descriptor: int) -> bool:
    """Return True if the other end of the terminal or pipe is closed.

    This is the only sign of a hangup if SIGHUP is blocked, or if `sshd` was killed and sent none.
    macOS answers POLLNVAL for a terminal, which it cannot poll.
    """
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))


def has_terminal() -> bool:
    """Return True if a dashboard can be shown: it reads stdin and draws on stderr."""
    return not is_plain_terminal() and all(
        stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)
    )
