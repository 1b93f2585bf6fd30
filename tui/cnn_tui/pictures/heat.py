"""A picture with a heatmap: what speaks for the class is orange and yellow, the rest grey."""

from collections.abc import Iterator

from cnn_engine.results.heatmap import Heatmap
from cnn_tui.pictures.half_blocks import (
    Color,
    Picture,
    PictureRow,
    half_blocks,
    luma,
    picture_height,
    scaled,
)

WARM_FROM, HOT_FROM = 0.4, 0.7
"""Heat from which on a pixel is drawn in the second and in the third range of colours. Ranges, not
a gradient: colours between grey and orange become pink and olive in 256 colours."""

COLORS = (
    (Color(8, 8, 8), Color(104, 104, 104)),
    (Color(175, 95, 0), Color(255, 175, 0)),
    (Color(255, 215, 0), Color(255, 255, 175)),
)
"""A black and a white pixel where it is cold, warm and hot. Each range is brighter than the one
before, for all kinds of colour vision, and its ends are among the 256 colours."""

SHADES = (" .:", "+oO", "#%@")
"""The same as characters, for terminals without colours."""


def draw_heat(
    picture: Picture, heatmap: Heatmap, columns: int, *, colors: bool
) -> list[PictureRow]:
    """Return a picture with its heatmap, in the size that `draw_picture` gives it.

    Args:
        picture: The picture.
        heatmap: Its heatmap, which covers the whole picture.
        columns: The width in cells.
        colors: True to draw coloured half blocks, False to draw characters.
    """
    lines = picture_height(picture, columns)
    rows = 2 * lines if colors else lines
    grid = list(zip(scaled(picture, columns, rows), _smooth(heatmap, columns, rows), strict=True))
    if not colors:
        return [[("".join(map(_character, *row)), "")] for row in grid]
    tinted = [list(map(_tinted, *row)) for row in grid]
    return [half_blocks(tinted[2 * line], tinted[2 * line + 1]) for line in range(lines)]


def heat_picture(picture: Picture, heatmap: Heatmap) -> Picture:
    """Return a colour picture of the same size with the heatmap, for image files."""
    width, height = picture.width, picture.height
    grid = zip(scaled(picture, width, height), _smooth(heatmap, width, height), strict=True)
    pixels = (bytes(_tinted(*pixel)) for row in grid for pixel in zip(*row, strict=True))
    return Picture(b"".join(pixels), width, height, 3)


def _range(heat: float) -> int:
    """Return 0 where it is cold, 1 where it is warm, 2 where it is hot."""
    return (heat >= WARM_FROM) + (heat >= HOT_FROM)


def _tinted(color: Color, heat: float) -> Color:
    grey, (dark, bright) = luma(color) / 255, COLORS[_range(heat)]
    return Color(*(round(a + grey * (b - a)) for a, b in zip(dark, bright, strict=True)))


def _character(color: Color, heat: float) -> str:
    shades = SHADES[_range(heat)]
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
