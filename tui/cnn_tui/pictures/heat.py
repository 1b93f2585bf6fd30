"""A picture with a heatmap over it: what speaks for the class is bright and warm, the rest grey."""

from collections.abc import Iterator

from cnn_engine.results.heatmap import Heatmap
from cnn_tui.pictures.half_blocks import (
    SHADES,
    Color,
    Picture,
    PictureRow,
    half_blocks,
    luma,
    picture_height,
    scaled,
)

COLD = 0.4
"""Brightness of the greyed picture where nothing speaks for the class."""

HOT = Color(255, 170, 40)
"""Colour of a white pixel where the heatmap is greatest: its brightness and its blue differ from a
grey's to every kind of colour vision."""

HOT_FROM = 0.5
"""Least heat of the characters that are drawn without colours; the others are blank."""


def draw_heat(
    picture: Picture, heatmap: Heatmap, columns: int, *, colors: bool
) -> list[PictureRow]:
    """Return a picture with its heatmap, in the size that `draw_picture` gives it.

    Args:
        picture: The picture.
        heatmap: Its heatmap, which covers the whole picture.
        columns: The width in cells.
        colors: True to draw coloured half blocks, False to draw the characters of the hot parts
            only.
    """
    lines = picture_height(picture, columns)
    rows = 2 * lines if colors else lines
    heat = _smooth(heatmap, columns, rows)
    grid = scaled(picture, columns, rows)
    if not colors:
        return [
            [("".join(map(_hot_shade, colors_of_row, heat_of_row)), "")]
            for colors_of_row, heat_of_row in zip(grid, heat, strict=True)
        ]
    tinted = [list(map(_tinted, *row)) for row in zip(grid, heat, strict=True)]
    return [half_blocks(tinted[2 * line], tinted[2 * line + 1]) for line in range(lines)]


def _tinted(color: Color, heat: float) -> Color:
    """Return a pixel as a dim grey where it is cold, and towards the hot colour where it is hot."""
    grey = luma(color)
    cold = COLD * grey
    return Color(*(round(cold + heat * (grey * hot / 255 - cold)) for hot in HOT))


def _hot_shade(color: Color, heat: float) -> str:
    if heat < HOT_FROM:
        return " "
    shades = SHADES[1:]  # a dark pixel is no blank here
    return shades[luma(color) * len(shades) // 256]


def _smooth(heatmap: Heatmap, columns: int, rows: int) -> list[list[float]]:
    """Return the heat [rows][columns], 0 to 1, interpolated linearly."""
    across = list(_neighbours(heatmap.width, columns))
    values, width = heatmap.values, heatmap.width
    result = []
    for top, bottom, down in _neighbours(heatmap.height, rows):
        first, second = top * width, bottom * width
        line = [
            (1 - down) * values[first + cell] + down * values[second + cell]
            for cell in range(width)
        ]
        result.append([((1 - right) * line[a] + right * line[b]) / 255 for a, b, right in across])
    return result


def _neighbours(cells: int, points: int) -> Iterator[tuple[int, int, float]]:
    """Yield the two cells next to each point's centre, and the weight of the second."""
    for point in range(points):
        position = min(max(0.0, (point + 0.5) * cells / points - 0.5), cells - 1.0)
        first = int(position)
        yield first, min(first + 1, cells - 1), position - first
