"""Textual's driver, which writes no more than what changes the screen."""

import asyncio
import os
import signal
import time
from typing import Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from cnn_tui.terminal.screen_diff import ScreenDiff

RESIZE_SECONDS = 1.0
"""For so long after a resize all is painted: what a terminal does to its content is its affair,
and a frame of the old size may still be on its way."""

BYTES_PER_SECOND = 2_000
"""What a dashboard may write in the long run of its own accord; over SSH it is what it costs."""

MAX_SAVED_BYTES = 16_000
"""What may be saved up for a frame in which much changes."""

MAX_DEBT = 6_000
"""What is over that is not paid back: a screen that keys have changed often does not stand still
for longer than this allows."""


class ByteBudget:
    """How much may be written now, so that over time it is not more than so much a second."""

    def __init__(self) -> None:
        self._left, self._since = float(MAX_SAVED_BYTES), time.monotonic()

    def spend(self, count: int) -> None:
        """So many bytes were written."""
        self._left = max(self._left - count, -MAX_DEBT)

    def has_room(self) -> bool:
        """Whether anything may be written. One frame may exceed it, and the next then waits."""
        now = time.monotonic()
        self._left = min(MAX_SAVED_BYTES, self._left + BYTES_PER_SECOND * (now - self._since))
        self._since = now
        return self._left > 0


class DiffDriver(LinuxDriver):
    """Writes to the terminal what is not there already."""

    def __init__(self, app: App[Any], **options: Any) -> None:  # noqa: ANN401 - as they come
        super().__init__(app, **options)
        self.budget = ByteBudget()
        self._screen_diff = ScreenDiff()
        self._known_size = self._get_terminal_size()
        self._resized = time.monotonic()
        self._suspended = False
        # Textual's own handlers act in the middle of whatever is being done, and take every
        # SIGCONT for the end of a suspension: its threads would be there twice.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        loop.add_signal_handler(signal.SIGCONT, self._go_on)

    def _suspend(self) -> None:
        """Give the terminal back, and stop until we are let on."""
        if self._app.is_running:
            self._suspended = True
            self.suspend_application_mode()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self) -> None:
        """Take the terminal again, which someone else has had: after a stop of any kind."""
        if not self._app.is_running:
            return
        if not self._suspended:
            self.suspend_application_mode()
        self._suspended = False
        self.invalidate()
        self.resume_application_mode()
        self._app.screen.refresh(layout=True)

    def stop_application_mode(self) -> None:
        """Give the terminal back as it was."""
        if self._mouse_pixels:
            self.write("\x1b[?1016l")  # which Textual forgets
        super().stop_application_mode()

    def write(self, data: str) -> None:
        """Write, in fewer bytes; nothing if nothing would change."""
        now, size = time.monotonic(), self._get_terminal_size()
        if size != self._known_size:
            self._known_size, self._resized = size, now
        resizing = now - self._resized < RESIZE_SECONDS
        if resizing:
            self._screen_diff.invalidate()
        shortened = self._screen_diff.minimize(data)
        if shortened:
            if not resizing:  # which costs what it costs, and a start is one too
                self.budget.spend(len(shortened.encode()))
            super().write(shortened)

    def invalidate(self) -> None:
        """Paint all of the next frame, whatever is on the screen."""
        self._screen_diff.invalidate()
