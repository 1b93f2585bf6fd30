"""Where results are printed with rich: how wide, and whether in colours."""

from rich.console import Console

WIDTH_OF_A_PIPE = 200
"""Columns where there is no terminal: whoever reads a file can take wide lines."""


def console_for_results() -> Console:
    """Stdout: as wide as the terminal, or wide enough for whoever reads a file."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_A_PIPE
    return console


def has_colors(console: Console) -> bool:
    """Whether pictures can be drawn in colours."""
    return console.color_system is not None and not console.no_color
