"""A Textual driver that writes only what changes the screen."""

import asyncio
import os
import signal
import time
from typing import Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from cnn_tui.terminal.features import own_features
from cnn_tui.terminal.screen_diff import ScreenDiff
from cnn_tui.terminal.status import TerminalStatus
from cnn_tui.terminal.supervisor import can_suspend
from cnn_tui.text.run_status import RunStatus

RESIZE_SECONDS = 1.0
"""Time after a resize in which everything is painted: terminals change their content on a resize,
and a frame of the old size may still follow."""

BYTES_PER_SECOND = 2_000
"""Average limit of output while no key is pressed, for use over SSH."""

MAX_SAVED_BYTES = 16_000
"""Limit of unused bytes, which a frame with many changes can use later."""

MAX_DEBT = 6_000
"""Limit of bytes written beyond the budget: after many changes by keys, updates pause for at most
`MAX_DEBT / BYTES_PER_SECOND` seconds."""


class ByteBudget:
    """A budget of `BYTES_PER_SECOND`, averaged over time (a token bucket)."""

    def __init__(self) -> None:
        self._bytes_left, self._updated = float(MAX_SAVED_BYTES), time.monotonic()

    def spend(self, count: int) -> None:
        """Subtract the number of bytes written."""
        self._bytes_left = max(self._bytes_left - count, -MAX_DEBT)

    def has_room(self) -> bool:
        """Return True if a frame may be written; one that exceeds the budget delays the next."""
        now = time.monotonic()
        earned = BYTES_PER_SECOND * (now - self._updated)
        self._bytes_left = min(MAX_SAVED_BYTES, self._bytes_left + earned)
        self._updated = now
        return self._bytes_left > 0


class DiffDriver(LinuxDriver):
    """Writes the difference between the terminal's content and the next frame."""

    def __init__(self, app: App[Any], **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(app, **options)
        self.budget = ByteBudget()
        self._screen_diff = ScreenDiff()
        self._known_size = self._get_terminal_size()
        self._resized = time.monotonic()
        self._suspended = False
        self._is_active = False
        self.status = TerminalStatus(self._write_message, own_features())
        # Textual's own handlers interrupt any code, and treat every SIGCONT as the end of a
        # suspension, which would start its threads twice.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        loop.add_signal_handler(signal.SIGCONT, self._resume)

    @property
    def can_suspend(self) -> bool:
        """True if a shell can continue the process."""
        return can_suspend()

    def _suspend(self) -> None:
        """Restore the terminal, and stop the process until SIGCONT; no effect without a shell."""
        if not self._app.is_running or not self.can_suspend:
            return
        self._suspended = True
        self.suspend_application_mode()
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)

    def _resume(self) -> None:
        """Take over the terminal again after any kind of stop, and repaint it."""
        if not self._app.is_running:
            return
        if not self._suspended:
            self.suspend_application_mode()
        self._suspended = False
        self.invalidate()
        self.resume_application_mode()
        self._app.screen.refresh(layout=True)

    def start_application_mode(self) -> None:
        """Take over the terminal, and its title."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._is_active = True
        self.show_status(None)

    def stop_application_mode(self) -> None:
        """Restore the terminal."""
        self._is_active = False
        self.status.hide()
        if self._mouse_pixels:
            self.write("\x1b[?1016l")  # Textual does not reset this mode
        super().stop_application_mode()

    def write(self, data: str) -> None:
        """Write what changes the screen; nothing if nothing changes."""
        now, size = time.monotonic(), self._get_terminal_size()
        if size != self._known_size:
            self._known_size, self._resized = size, now
        is_resizing = now - self._resized < RESIZE_SECONDS
        if is_resizing:
            self._screen_diff.invalidate()
        minimized = self._screen_diff.minimize(data)
        if minimized:
            if not is_resizing:  # a full repaint is not limited; a start counts as a resize
                self.budget.spend(len(minimized.encode()))
            super().write(minimized)

    def show_status(self, status: RunStatus | None) -> None:
        """Show the status of a run, or none, in the title and the progress bar."""
        if self._is_active:
            self.status.show(status)

    def notify(self, text: str) -> None:
        """Show a desktop notification, if the terminal can."""
        if self._is_active:
            self.status.notify(text)

    def _write_message(self, text: str) -> None:
        """Write what does not change the screen."""
        self.budget.spend(len(text.encode()))
        super().write(text)

    def invalidate(self) -> None:
        """Paint the next frame completely, whatever the terminal shows."""
        self._screen_diff.invalidate()
