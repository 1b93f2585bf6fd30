"""Where results are printed with rich: how wide, and whether in colours."""

from rich.console import Console

PIPE_WIDTH = 200
"""Columns where there is no terminal: whoever reads a file can take wide lines."""


def results_console() -> Console:
    """Stdout: as wide as the terminal, or wide enough for whoever reads a file."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def has_colors(console: Console) -> bool:
    """Whether pictures can be drawn in colours."""
    return console.color_system is not None and not console.no_color
