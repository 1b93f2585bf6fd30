"""A table that leaves out columns where the terminal is narrow."""

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

UNLIMITED = 10_000
"""Columns of a terminal on which every table fits."""


class FittingTable:
    """A table that leaves out columns until it fits, so that no number is cut."""

    def __init__(
        self,
        headings: Sequence[str],
        rows: Sequence[Sequence[str | Text]],
        optional: Sequence[int],
        left: Sequence[int] = (),
    ) -> None:
        """Set the contents.

        Args:
            headings: Heading of each column.
            rows: Cells of each row.
            optional: Numbers of the columns that may be left out, the first one first.
            left: Numbers of the columns that are aligned to the left.
        """
        self._headings, self._rows = headings, rows
        self._optional, self._left = optional, left

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table with as many columns as fit."""
        unlimited = options.update(max_width=UNLIMITED)
        for count in range(len(self._optional) + 1):
            table = self._without(self._optional[:count])
            if console.measure(table, options=unlimited).maximum <= options.max_width:
                break
        yield table

    def _without(self, left_out: Sequence[int]) -> Table:
        """Return the table without some columns; texts on the left wrap, numbers do not."""
        shown = [number for number in range(len(self._headings)) if number not in left_out]
        table = Table(box=None, pad_edge=False, header_style="dim")
        for number in shown:
            is_left = number in self._left
            table.add_column(
                _plain(self._headings[number]),
                justify="left" if is_left else "right",
                no_wrap=not is_left,
            )
        for row in self._rows:
            table.add_row(*(_plain(row[number]) for number in shown))
        return table


def _plain(cell: str | Text) -> Text:
    """Return a cell as text, in which rich finds no markup: it may be a name of a user."""
    return Text(cell) if isinstance(cell, str) else cell
