"""The rich console for results."""

import sys

from rich.console import Console

from cnn_tui.terminal.ascii import for_locale, is_ascii_only
from cnn_tui.terminal.environment import terminal_columns

PIPE_WIDTH = 200
"""Columns if stdout is not a terminal."""


def make_console() -> Console:
    """Return a console on stdout, which writes ASCII if the locale has no UTF-8."""
    return Console(highlight=False, file=for_locale(sys.stdout))


def results_console() -> Console:
    """Return a console on stdout, as wide as the terminal, or `PIPE_WIDTH` without one."""
    console = make_console()
    console.width = terminal_columns(sys.stdout, PIPE_WIDTH)
    return console


def has_colors(console: Console) -> bool:
    """Return True if pictures can be drawn in coloured half blocks."""
    return console.color_system is not None and not console.no_color and not is_ascii_only()
