"""The checks of `cnn-tui doctor` as text."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from cnn_tui.doctor.check import Check, Group
from cnn_tui.text.safe import escaped

STYLES = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "bold red")}

NAME_WIDTH = 12

MIN_COLUMNS = 60
"""Columns from which values are beside the names instead of below them."""


def print_groups(console: Console, groups: list[Group]) -> None:
    """Print the checks and how many of them need attention."""
    for group in groups:
        console.print(Text(group.name, "bold"))
        for check in group.checks:
            for line in _lines(console, check):
                console.print(line)
        console.print()
    console.print(Text(_summary([check for group in groups for check in group.checks])))


def _lines(console: Console, check: Check) -> Iterator[Text]:
    """Yield the lines of a check: mark, name and value, and the advice below."""
    is_narrow = console.width < MIN_COLUMNS
    indent = 2 if is_narrow else NAME_WIDTH + 3
    width = max(1, console.width - indent)
    lines = [*Text(escaped(check.value, 1000)).wrap(console, width)]
    if check.advice:
        lines += Text(f"→ {escaped(check.advice, 1000)}", "italic").wrap(console, width)
    mark, style = STYLES[check.state]
    first = Text.assemble((mark, style), f" {check.name}")
    if is_narrow:
        yield first
    else:
        first.pad_right(indent - len(first))
        yield first.append_text(lines.pop(0))
    for line in lines:
        line.pad_left(indent)
        yield line


def _summary(checks: list[Check]) -> str:
    errors = sum(check.state == "error" for check in checks)
    warnings = sum(check.state == "warning" for check in checks)
    found = [f"{errors} problem{'s' * (errors != 1)}"] if errors else []
    if warnings:
        found.append(f"{warnings} thing{'s' * (warnings != 1)} could be better")
    return ", ".join(found) or "No problems found."
