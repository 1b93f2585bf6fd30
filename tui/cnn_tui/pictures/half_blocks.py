"""Pictures in a terminal: two pixels a character cell, one above the other.

Rows are pieces of (text, style) that both `rich.text.Text.assemble` and Textual's
`Content.assemble` take; a terminal of fewer colours gets the nearest that it has.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, TypeAlias

PictureRow: TypeAlias = list[tuple[str, str]]
"""One line of a picture."""

HALF_BLOCK = "▀"
SHADES = " .:-=+*#%@"
"""From dark to bright, for terminals without colours."""

LUMA = (299, 587, 114)
"""Thousandths of red, green and blue in a grey value (ITU-R BT.601)."""

STEPS = 31
LEVELS = tuple(round(round(value * STEPS / 255) * 255 / STEPS) for value in range(256))
"""Parts of a colour in 32 steps: in blocks of this size nobody sees more, each pair of colours is a
style that has to be made and kept, and neighbours that are alike are written as one."""


class Color(NamedTuple):
    """A colour, each part 0 to 255."""

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
    """Lines that the picture takes when it is that wide."""
    return max(1, round(columns * picture.height / picture.width / 2))


def fit_width(picture: Picture, columns: int, lines: int) -> int:
    """How wide the picture can be drawn in that room, and keep its shape."""
    return max(1, min(columns, lines * 2 * picture.width // picture.height))


def draw_picture(picture: Picture, columns: int, *, colors: bool = True) -> list[PictureRow]:
    """The picture, `columns` cells wide and `height_of` lines high.

    Args:
        picture: What to draw.
        columns: Its width in cells.
        colors: Draw half blocks in colours; or else shades made of characters.
    """
    lines = picture_height(picture, columns)
    if not colors:
        grid = _scaled(picture, columns, lines)
        return [[("".join(map(_shade, row)), "")] for row in grid]
    grid = _scaled(picture, columns, 2 * lines)
    return [_half_blocks(grid[2 * line], grid[2 * line + 1]) for line in range(lines)]


def _half_blocks(above: list[Color], below: list[Color]) -> PictureRow:
    pairs = groupby(zip(above, below, strict=True))
    return [
        (HALF_BLOCK * len(list(cells)), f"{_hex(upper)} on {_hex(lower)}")
        for (upper, lower), cells in pairs
    ]


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _shade(color: Color) -> str:
    luma = sum(part * weight for part, weight in zip(color, LUMA, strict=True)) // 1000
    return SHADES[luma * len(SHADES) // 256]


def _scaled(picture: Picture, columns: int, rows: int) -> list[list[Color]]:
    """Colours [rows][columns]: means of the pixels that each covers, or the nearest one."""
    spans = list(_spans(picture.width, columns))
    return [
        [_mean(picture, top, bottom, left, right) for left, right in spans]
        for top, bottom in _spans(picture.height, rows)
    ]


def _spans(pixels: int, cells: int) -> Iterator[tuple[int, int]]:
    """Which pixels each cell covers: at least one."""
    for cell in range(cells):
        first = cell * pixels // cells
        yield first, max(first + 1, (cell + 1) * pixels // cells)


def _mean(picture: Picture, top: int, bottom: int, left: int, right: int) -> Color:
    sums, channels = [0, 0, 0], picture.channels
    for row in range(top, bottom):
        first = (row * picture.width + left) * channels
        strip = picture.pixels[first : first + (right - left) * channels]
        for part in range(3):
            sums[part] += sum(strip[part % channels :: channels])
    count = (bottom - top) * (right - left)
    return Color(*(LEVELS[total // count] for total in sums))
