"""Dots on a grid of braille cells, two across and four down in each."""

from collections.abc import Sequence

BLANK = 0x2800
LEFT_DOTS, RIGHT_DOTS = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)
"""What each row, from the top, adds to the code of a braille character."""

LEFT, RIGHT = (
    [sum(dot for row, dot in enumerate(dots) if (rows >> row) & 1) for rows in range(16)]
    for dots in (LEFT_DOTS, RIGHT_DOTS)
)
"""The same for each set of rows, as a mask whose lowest bit is the top row."""


CHECKS = tuple(sum(1 << row for row in range(start, 1024, 2)) for start in (0, 1))
"""Every other row, for columns of either parity."""


class DotGrid:
    """Dots of one colour: a mask for each column of dots, whose lowest bit is the top row."""

    def __init__(self, width: int, height: int) -> None:
        """A blank layer.

        Args:
            width: Cells across; twice as many dots.
            height: Cells down; four times as many dots.
        """
        self.width, self.height = 2 * width, 4 * height
        self._columns = [0] * self.width

    def bar(self, x: int, top: int, bottom: int) -> None:
        """A whole column of dots, ends included."""
        self._columns[x] |= (2 << bottom) - (1 << top)

    def shade(self, x: int, top: int, bottom: int) -> None:
        """A column of every other dot, in checks with its neighbours, and of both its ends."""
        checks = CHECKS[x % 2] & ((2 << bottom) - (1 << top))
        self._columns[x] |= checks | (1 << top) | (1 << bottom)

    def line(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """A line without gaps, for x0 ≤ x1: each column has the dots down to the next one's."""
        y = y0
        for x in range(x0, x1 + 1):
            after = y1 if x == x1 else y0 + round((y1 - y0) * (x + 1 - x0) / (x1 - x0 + 1))
            self.bar(x, min(y, after), max(y, after))
            y = after

    def cells(self, row: int) -> list[int]:
        """The codes of a row of cells, 0 for a blank one; to be added to `BLANK`."""
        shift = 4 * row
        masks = [(column >> shift) & 15 for column in self._columns]
        return [
            LEFT[left] | RIGHT[right] for left, right in zip(masks[::2], masks[1::2], strict=True)
        ]


def merge(
    lines: Sequence[tuple[Sequence[int], str]], shade: tuple[Sequence[int], str]
) -> list[tuple[str, str]]:
    """One row of several layers: a character and a style for each cell.

    A cell has one colour: that of the first line with dots in it, and all lines' dots; or else
    the shade's.
    """
    row = []
    for x, shaded in enumerate(shade[0]):
        dots, style = shaded, shade[1]
        found = [(codes[x], ink) for codes, ink in lines if codes[x]]
        if found:
            dots, style = 0, found[0][1]
            for code, _ in found:
                dots |= code
        row.append((chr(BLANK + dots), style) if dots else (" ", ""))
    return row
