"""One line on a terminal that is rewritten in place."""

import time
from typing import Self, TextIO

from rich.cells import cell_len

from cnn_tui.terminal.ascii import for_locale
from cnn_tui.terminal.environment import is_ci, terminal_columns
from cnn_tui.text.width import cut, pad

REPORT_SECONDS = 0.2
"""Minimum interval between two writes of `report`."""


def progress_text(task: str, done: int, total: int) -> str:
    """Return `decoding images 1,200/60,000`; only the task if the total is 0."""
    return f"{task} {done:,}/{total:,}" if total else task


class ProgressLine:
    """Shows the latest line on a terminal, and nothing on other streams and in logs of CI.

    As a context manager, it clears the line at the end.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = for_locale(out) if out.isatty() and not is_ci() else None
        self._width = 0
        self._reported_at = 0.0

    def write(self, line: str) -> None:
        """Replace the line, cut to the width of the terminal."""
        if self._out is None:
            return
        shown = cut(line, terminal_columns(self._out) - 1)
        # The width is set first: if an interrupt ends the write, the whole line is cleared.
        before, self._width = self._width, max(self._width, cell_len(shown))
        print(f"\r{pad(shown, before)}", end="", file=self._out, flush=True)
        self._width = cell_len(shown)

    def report(self, task: str, done: int, total: int) -> None:
        """Show progress; at most one line per `REPORT_SECONDS` is written."""
        now = time.monotonic()
        if now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            self.write(progress_text(task, done, total))

    def clear(self) -> None:
        """Clear the line."""
        # Spaces instead of an escape sequence, which a dumb terminal would show.
        if self._width:
            print("\r" + " " * self._width, end="\r", file=self._out, flush=True)
            self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
