"""Pictures in a terminal: two pixels in each cell, one above the other.

Rows are lists of (text, style), as for `rich.text.Text.assemble` and Textual's
`Content.assemble`. `cnn_tui.pictures.colors` converts them for 256 colours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, TypeAlias

PictureRow: TypeAlias = list[tuple[str, str]]
"""One line of a picture: texts and their styles."""

HALF_BLOCK = "▀"
SHADES = " .:-=+*#%@"
"""Characters from dark to bright, for terminals without colours."""

LUMA = (299, 587, 114)
"""Weights of red, green and blue in a grey value, in thousandths (ITU-R BT.601)."""

STEPS = 31
LEVELS = tuple(round(round(value * STEPS / 255) * 255 / STEPS) for value in range(256))
"""Colour components rounded to 32 levels, which look the same at this block size. Fewer colours
mean fewer styles to create and cache, and longer runs of equal cells."""


class Color(NamedTuple):
    """A colour; each component is 0 to 255."""

    red: int
    green: int
    blue: int


@dataclass(frozen=True)
class Picture:
    """Pixels row by row."""

    pixels: bytes
    """uint8 [height, width, channels]."""

    width: int
    height: int

    channels: int
    """1 for grey, 3 for colour."""


def picture_height(picture: Picture, columns: int) -> int:
    """Return the lines of a picture drawn `columns` cells wide."""
    return max(1, round(columns * picture.height / picture.width / 2))


def fit_width(picture: Picture, columns: int, lines: int) -> int:
    """Return the largest width in cells that fits `columns` × `lines` at the aspect ratio."""
    return max(1, min(columns, lines * 2 * picture.width // picture.height))


def draw_picture(picture: Picture, columns: int, *, colors: bool = True) -> list[PictureRow]:
    """Return a picture as rows of `columns` cells, `picture_height` of them.

    Args:
        picture: The picture.
        columns: The width in cells.
        colors: True to draw coloured half blocks, False to draw characters from dark to bright.
    """
    lines = picture_height(picture, columns)
    if not colors:
        grid = scaled(picture, columns, lines)
        return [[("".join(map(_shade, row)), "")] for row in grid]
    grid = scaled(picture, columns, 2 * lines)
    return [half_blocks(grid[2 * line], grid[2 * line + 1]) for line in range(lines)]


def half_blocks(above: list[Color], below: list[Color]) -> PictureRow:
    """Return one line of cells from the two rows of pixels in it."""
    pairs = groupby(zip(above, below, strict=True))
    return [
        (HALF_BLOCK * len(list(cells)), f"{_hex(upper)} on {_hex(lower)}")
        for (upper, lower), cells in pairs
    ]


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _shade(color: Color) -> str:
    return SHADES[luma(color) * len(SHADES) // 256]


def luma(color: Color) -> int:
    """Return the grey value of a colour, 0 to 255."""
    return sum(value * weight for value, weight in zip(color, LUMA, strict=True)) // 1000


def scaled(picture: Picture, columns: int, rows: int) -> list[list[Color]]:
    """Return colours [rows][columns]: the mean of the pixels in each cell, or the nearest one."""
    spans = list(_spans(picture.width, columns))
    return [
        [_mean(picture, top, bottom, left, right) for left, right in spans]
        for top, bottom in _spans(picture.height, rows)
    ]


def _spans(pixels: int, cells: int) -> Iterator[tuple[int, int]]:
    """Yield the first pixel of each cell, and the one after its last; a cell has at least one."""
    for cell in range(cells):
        first = cell * pixels // cells
        yield first, max(first + 1, (cell + 1) * pixels // cells)


def _mean(picture: Picture, top: int, bottom: int, left: int, right: int) -> Color:
    sums, channels = [0, 0, 0], picture.channels
    for row in range(top, bottom):
        first = (row * picture.width + left) * channels
        strip = picture.pixels[first : first + (right - left) * channels]
        for component in range(3):
            sums[component] += sum(strip[component % channels :: channels])
    count = (bottom - top) * (right - left)
    return Color(*(LEVELS[total // count] for total in sums))
