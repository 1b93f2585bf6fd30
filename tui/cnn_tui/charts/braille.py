"""Dots on a grid of braille cells: each cell has two columns and four rows of dots."""

from collections.abc import Iterable, Sequence

from cnn_tui.charts.binning import Point, Scale

BLANK = 0x2800
"""Code of the braille character without dots."""

LEFT_DOTS, RIGHT_DOTS = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)
"""Bits of the dots in a braille character's code, from the top row."""

LEFT, RIGHT = (
    [sum(dot for row, dot in enumerate(dots) if (rows >> row) & 1) for rows in range(16)]
    for dots in (LEFT_DOTS, RIGHT_DOTS)
)
"""Codes for each set of rows, given as a mask whose lowest bit is the top row."""


class DotGrid:
    """Dots of one colour: a mask for each column of dots, whose lowest bit is the top row."""

    def __init__(self, width: int, height: int) -> None:
        """Create a blank grid.

        Args:
            width: Cells across; twice as many dots.
            height: Cells down; four times as many dots.
        """
        self.width, self.height = 2 * width, 4 * height
        self._columns = [0] * self.width

    def bar(self, x: int, top: int, bottom: int) -> None:
        """Draw a column of dots, ends included."""
        self._columns[x] |= (2 << bottom) - (1 << top)

    def line(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """Draw a line without gaps, for x0 ≤ x1: each column extends to the row of the next."""
        y = y0
        for x in range(x0, x1 + 1):
            after = y1 if x == x1 else y0 + round((y1 - y0) * (x + 1 - x0) / (x1 - x0 + 1))
            self.bar(x, min(y, after), max(y, after))
            y = after

    def curve(self, points: Iterable[Point], scale: Scale) -> None:
        """Draw points, and the lines between joined points."""
        previous: tuple[int, int] | None = None
        for column, value, is_joined in points:
            current = column, scale.row(value)
            start = previous if previous and is_joined else current
            self.line(*start, *current)
            previous = current

    def cells(self, row: int) -> list[int]:
        """Return the codes of a row of cells relative to `BLANK`."""
        shift = 4 * row
        masks = [(column >> shift) & 15 for column in self._columns]
        return [
            LEFT[left] | RIGHT[right] for left, right in zip(masks[::2], masks[1::2], strict=True)
        ]


def merge(lines: Sequence[tuple[Sequence[int], str]]) -> list[tuple[str, str]]:
    """Return a row of several grids as a character and a style for each cell.

    A cell has the style of the first line with dots in it, and the dots of all lines.

    Args:
        lines: Codes and style of each line's row.
    """
    row = []
    for cells in zip(*(codes for codes, _ in lines), strict=True):
        found = [(code, style) for code, (_, style) in zip(cells, lines, strict=True) if code]
        dots = 0
        for code, _ in found:
            dots |= code
        row.append((chr(BLANK + dots), found[0][1]) if found else (" ", ""))
    return row
