"""Textual's driver, which writes no more than what changes the screen."""

import asyncio
import os
import signal
import time
from typing import Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from cnn_tui.thrift import Thrift

RESIZE_SECONDS = 1.0
"""For so long after a resize all is painted: what a terminal does to its content is its affair,
and a frame of the old size may still be on its way."""


class ThriftyDriver(LinuxDriver):
    """Writes to the terminal what is not there already."""

    def __init__(self, app: App[Any], **options: Any) -> None:  # noqa: ANN401 - as they come
        super().__init__(app, **options)
        self._thrift = Thrift()
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
        self.forget()
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
        if now - self._resized < RESIZE_SECONDS:
            self._thrift.forget()
        shortened = self._thrift.shorten(data)
        if shortened:
            super().write(shortened)

    def forget(self) -> None:
        """Paint all of the next frame, whatever is on the screen."""
        self._thrift.forget()
