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


CHECKS = tuple(sum(1 << row for row in range(start, 1024, 2)) for start in (0, 1))
"""Masks of every other row, for columns of either parity."""


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

    def shade(self, x: int, top: int, bottom: int) -> None:
        """Draw both ends of a column and every other dot between, as in a chequerboard."""
        checks = CHECKS[x % 2] & ((2 << bottom) - (1 << top))
        self._columns[x] |= checks | (1 << top) | (1 << bottom)

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


def merge(
    lines: Sequence[tuple[Sequence[int], str]], shade: tuple[Sequence[int], str]
) -> list[tuple[str, str]]:
    """Return a row of several grids as a character and a style for each cell.

    A cell has the style of the first line with dots in it, and the dots of all lines. The shade is
    drawn only in cells without a line.

    Args:
        lines: Codes and style of each line's row.
        shade: Codes and style of the shade's row.
    """
    row = []
    for x, shaded in enumerate(shade[0]):
        dots, style = shaded, shade[1]
        found = [(codes[x], line_style) for codes, line_style in lines if codes[x]]
        if found:
            dots, style = 0, found[0][1]
            for code, _ in found:
                dots |= code
        row.append((chr(BLANK + dots), style) if dots else (" ", ""))
    return row
