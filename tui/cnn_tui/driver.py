"""Textual's driver, which writes no more than what changes the screen."""

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
