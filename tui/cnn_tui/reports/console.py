"""The rich console for results."""

import re
import sys
from typing import Any, TextIO

from rich.console import Console

from cnn_tui.terminal.ascii import for_locale, is_ascii_only
from cnn_tui.terminal.environment import terminal_columns

PIPE_WIDTH = 200
"""Columns if stdout is not a terminal."""


PADDING = re.compile(r"[ \t]+(?=\n)")


class Unpadded:
    """A text stream without spaces at the end of lines; all else is that of its stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, in which each line is whole."""
        return self._stream.write(PADDING.sub("", text))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a stream
        return getattr(self._stream, name)


def make_console() -> Console:
    """Return a console on stdout, which writes ASCII if the locale has no UTF-8.

    Without a terminal, lines are not padded.
    """
    stream = for_locale(sys.stdout)
    if not sys.stdout.isatty():
        stream = Unpadded(stream)  # type: ignore[assignment]
    return Console(highlight=False, file=stream)


def results_console() -> Console:
    """Return a console on stdout, as wide as the terminal, or `PIPE_WIDTH` without one."""
    console = make_console()
    console.width = terminal_columns(sys.stdout, PIPE_WIDTH)
    return console


def has_colors(console: Console) -> bool:
    """Return True if pictures can be drawn in coloured half blocks."""
    return console.color_system is not None and not console.no_color and not is_ascii_only()
