"""The terminal: keeping it for the dashboard alone, noticing its loss, giving it back."""

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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

RESET_SEQUENCE = (
    b"\x1b[?2026l"  # the end of a frame
    b"\x1b[?2004l\x1b[?7h\x1b[?2048l"  # no bracketed paste, wrapped lines, no reports of the size
    b"\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # no mouse
    b"\x1b[<u"  # the keyboard protocol as it was, which goes with the screen
    b"\x1b[0m\x1b[?1049l\x1b[?25h\x1b[?1004l"  # the shell's screen, a cursor, no reports of focus
)
"""Takes back all that Textual asks of a terminal."""

DEV_NULL = Path(os.devnull)


def notify(text: str, descriptor: int = 2) -> None:
    """One line to the user, if there is a terminal to say it on. At any moment, by a signal too."""
    if sys.stderr is not None:  # else the descriptor may be a file of ours by now
        with suppress(OSError):
            os.write(descriptor, f"cnn-tui: {text}\n".encode())


class TerminalSettings:
    """How a terminal was before a dashboard, to make it so again when Textual no longer can."""

    def __init__(self) -> None:
        self._settings: list[Any] | None = None
        with suppress(termios.error):  # it may be gone by now
            self._settings = termios.tcgetattr(0)

    def restore(self, screen: int) -> None:
        """Make it so at once, by a descriptor that leads to it."""
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # as it may no longer be ours to set
        with suppress(OSError, termios.error):
            termios.tcflush(screen, termios.TCOFLUSH)  # a stalled one would keep us
            os.write(screen, RESET_SEQUENCE)
            termios.tcflush(0, termios.TCIFLUSH)
            if self._settings:
                termios.tcsetattr(0, termios.TCSANOW, self._settings)


class _HangupProofFile(FileIO):
    """A descriptor that can be written to whatever happens: what it refuses goes elsewhere.

    To a training run, output is worth no failure. A terminal that is gone would also end Textual's
    writer thread, and whoever hands that more to write would wait forever.
    """

    def __init__(self, descriptor: int, elsewhere: Callable[[], Path]) -> None:
        """Write there; once its terminal is gone, to the file that `elsewhere` then names."""
        super().__init__(descriptor, "w", closefd=False)
        self._elsewhere = elsewhere

    def write(self, content: "ReadableBuffer") -> int:
        """Write all, there or elsewhere."""
        try:
            return super().write(content)
        except OSError as error:
            self._divert(error)
            return self.write(content)

    def _divert(self, error: OSError) -> None:
        """To the file named if the terminal is gone; else, as by a closed pipe, to nowhere."""
        path = self._elsewhere() if error.errno == errno.EIO else DEV_NULL
        try:
            other = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError:
            other = os.open(DEV_NULL, os.O_WRONLY)
        os.dup2(other, self.fileno())
        os.close(other)


def hangup_proof_stream(
    descriptor: int, elsewhere: Callable[[], Path], encoding: str = "utf-8"
) -> TextIOWrapper:
    """A text stream that goes on elsewhere when its terminal is lost, and never fails."""
    raw = BufferedWriter(_HangupProofFile(descriptor, elsewhere))
    return TextIOWrapper(raw, encoding=encoding, errors="replace", line_buffering=True)


@contextmanager
def survive_hangup() -> Iterator[None]:
    """Let Textual draw on a terminal that may be lost meanwhile.

    It draws on `sys.__stderr__`, and asks `sys.__stdout__` for the size.
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
    """Send all that is written to file descriptors 1 and 2 to a file, but for what Textual draws.

    Libraries print, warn, and write from C, from any thread; on a drawn screen that is litter. So
    do crashes in native code, which `faulthandler` describes.
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
    """Whether the terminal would take more now; not if it is stopped, stalled or far behind."""
    if sys.__stderr__ is None:
        return False
    _, writable, _ = select.select([], [sys.__stderr__.fileno()], [], 0)
    return bool(writable)


def is_hung_up(descriptor: int) -> bool:
    """Whether the terminal, or the pipe, has nobody at its other end any more.

    The only sign of it where SIGHUP is blocked, or not sent as `sshd` was killed.
    """
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))


def has_terminal() -> bool:
    """Whether a dashboard can be shown: it reads stdin, and draws on stderr."""
    # A stream can be None, where it was closed before Python started.
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)
