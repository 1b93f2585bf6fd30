"""Title, progress bar and notifications of a terminal: a run is visible from another window."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import ClassVar, TextIO

from cnn_tui.terminal.features import Features, own_features, reset_sequence
from cnn_tui.text.run_status import Bar, RunStatus

SAVE_TITLE = "\x1b[22;0t"
"""Pushes the title on the terminal's stack."""

BARS: dict[Bar, int] = {"none": 0, "normal": 1, "error": 2, "unknown": 3, "paused": 4}

MIN_SECONDS = 1.0
"""Minimum interval between two changes."""

REPEAT_SECONDS = 10.0
"""Interval at which a progress bar is sent again to a terminal that forgets it."""

NAME = "cnn-tui"


class TerminalStatus:
    """Shows the status of a run in the terminal's title and progress bar."""

    def __init__(self, write: Callable[[str], None], features: Features) -> None:
        """Show nothing yet.

        Args:
            write: Writes to the terminal.
            features: Its abilities.
        """
        self._write, self._features = write, features
        self._is_shown = False
        self._title = ""
        self._bar = ""
        self._next_change = self._next_repeat = 0.0

    @property
    def is_due(self) -> bool:
        """True if the terminal can show a status, and did not change just now."""
        has_any = self._features.title or self._features.progress
        return has_any and time.monotonic() >= self._next_change

    def show(self, status: RunStatus | None) -> None:
        """Show a status, at most once per `MIN_SECONDS`; None for the program without a run."""
        if not self.is_due:
            return
        now = time.monotonic()
        title = _encodable(f"{status.title} - {NAME}" if status else NAME)
        kind, percent = (status.bar, status.percent) if status else ("none", 0)
        bar = f"\x1b]9;4;{BARS[kind]};{percent}\x1b\\"
        text = ""
        if self._features.title and title != self._title:
            text += f"\x1b]2;{title}\x07" if self._is_shown else f"{SAVE_TITLE}\x1b]2;{title}\x07"
        repeats = (
            self._features.forgets_progress
            and status is not None
            and status.bar in ("normal", "unknown")
            and now >= self._next_repeat
        )
        if self._features.progress and (bar != self._bar or repeats):
            text += bar
            self._next_repeat = now + REPEAT_SECONDS
        if text:
            self._is_shown, self._title, self._bar = True, title, bar
            self._next_change = now + MIN_SECONDS
            self._write(text)

    def hide(self) -> None:
        """Restore the title and remove the progress bar; `show` shows them again."""
        if self._is_shown:
            self._is_shown = False
            self._title = self._bar = ""
            self._next_change = 0.0
            self._write(reset_sequence(self._features))

    def notify(self, text: str) -> None:
        """Show a desktop notification, if the terminal can.

        Args:
            text: One line of safe text.
        """
        text = _encodable(text)
        match self._features.notification:
            case "9":
                self._write(f"\x1b]9;{NAME}: {text}\x1b\\")
            case "777":
                self._write(f"\x1b]777;notify;{NAME};{text.replace(';', ',')}\x1b\\")
            case "99":
                self._write(f"\x1b]99;i={NAME}:d=0;{NAME}\x1b\\")
                self._write(f"\x1b]99;i={NAME}:d=1:p=body;{text}\x1b\\")


class StreamStatus(TerminalStatus):
    """The status on a stream of lines; nothing is written once that is no terminal any more."""

    shown: ClassVar["StreamStatus | None"] = None
    """The one of this process that has shown something last."""

    def __init__(self, stream: TextIO) -> None:
        """Use the terminal of a stream.

        Args:
            stream: The stream.
        """
        features = own_features() if stream.isatty() else Features()
        super().__init__(self._write_to_terminal, features)
        self._stream = stream

    def hide_now(self) -> None:
        """Do the same as `hide`; safe in a signal handler."""
        if self._is_shown:
            self._is_shown, self._title, self._bar = False, "", ""
            with suppress(OSError):
                if os.isatty(self._stream.fileno()):
                    os.write(self._stream.fileno(), reset_sequence(self._features).encode())

    def _write_to_terminal(self, text: str) -> None:
        if not os.isatty(self._stream.fileno()):  # the terminal is lost
            return
        if StreamStatus.shown is None and signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, _hide_and_stop)
        StreamStatus.shown = self
        self._stream.write(text)
        self._stream.flush()


def hide_status() -> None:
    """Restore the title of a terminal with lines before the process ends; for signal handlers."""
    if StreamStatus.shown is not None:
        StreamStatus.shown.hide_now()


def _hide_and_stop(number: int, _frame: FrameType | None) -> None:
    """Restore the terminal, and stop this process, as the shell asks for with ctrl-z."""
    hide_status()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.signal(number, _hide_and_stop)  # the shell has continued it


def _encodable(text: str) -> str:
    """Return a text as the terminal's encoding has it."""
    from cnn_tui.terminal.ascii import in_ascii, is_ascii_only  # noqa: PLC0415 - imports rich

    return in_ascii(text) if is_ascii_only() else text
