"""One line on a terminal that is rewritten in place."""

import shutil
import time
from typing import Self, TextIO

REPORT_SECONDS = 0.2
"""How often `tell` writes."""


def progress_text(what: str, done: int, total: int) -> str:
    """`decoding images 1,200/60,000`; without a total, just what is being done."""
    return f"{what} {done:,}/{total:,}" if total else what


class ProgressLine:
    """Shows the latest of many lines; nothing where the stream is no terminal.

    As a context, it takes the line away at its end.
    """

    def __init__(self, out: TextIO | None) -> None:
        """Write to a stream; None is one that was closed before Python started."""
        self._out = out if out is not None and out.isatty() else None
        self._width = 0
        self._reported_at = 0.0

    def write(self, line: str) -> None:
        """Put a line in place of the last, cut to the terminal's width."""
        if self._out is None:
            return
        shown = line[: shutil.get_terminal_size().columns - 1]
        # Known before it is there: ctrl-c may come in between, and it must still be taken away.
        before, self._width = self._width, max(self._width, len(shown))
        print(f"\r{shown:<{before}}", end="", file=self._out, flush=True)
        self._width = len(shown)

    def report(self, what: str, done: int, total: int) -> None:
        """Tell how far something is; as often as one likes, as few are written."""
        now = time.monotonic()
        if now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            self.write(progress_text(what, done, total))

    def clear(self) -> None:
        """Take the line away."""
        # Spaces rather than an escape sequence, so that a dumb terminal shows no litter.
        if self._width:
            print("\r" + " " * self._width, end="\r", file=self._out, flush=True)
            self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
