"""The rich console for results."""

from rich.console import Console

PIPE_WIDTH = 200
"""Columns if stdout is not a terminal."""


def results_console() -> Console:
    """Return a console on stdout, as wide as the terminal, or `PIPE_WIDTH` without one."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def has_colors(console: Console) -> bool:
    """Return True if pictures can be drawn in colours."""
    return console.color_system is not None and not console.no_color
