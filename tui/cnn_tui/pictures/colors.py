"""The nearest of the 256 colours of a terminal without true colour.

Rich rounds each component to the colour cube by itself, which turns dark greys into maroon or
navy. Here the nearest colour of the cube and the nearest grey are compared.
"""

from functools import lru_cache

from cnn_tui.pictures.half_blocks import PictureRow

CUBE = (0, 95, 135, 175, 215, 255)
"""Values of a component in the colours 16 to 231."""

GREYS = tuple(range(8, 248, 10))
"""Values of the greys 232 to 255."""

WEIGHTS = (2, 4, 3)
"""Weights of red, green and blue in a perceived difference (T. Riemersma,
compuphase.com/cmetric.htm, without its terms for the mean of red)."""


@lru_cache(maxsize=4096)
def nearest_256(red: int, green: int, blue: int) -> int:
    """Return the number, 16 to 255, of the colour with the smallest perceived difference."""
    color = (red, green, blue)
    levels = [_nearest_index(CUBE, component) for component in color]
    weighted = zip(color, WEIGHTS, strict=True)
    mean = sum(component * weight for component, weight in weighted) / sum(WEIGHTS)
    grey = _nearest_index(GREYS, mean)
    cube_distance = _distance(color, tuple(CUBE[level] for level in levels))
    if _distance(color, (GREYS[grey],) * 3) < cube_distance:
        return 232 + grey
    return 16 + 36 * levels[0] + 6 * levels[1] + levels[2]


def _nearest_index(values: tuple[int, ...], value: float) -> int:
    return min(range(len(values)), key=lambda index: abs(values[index] - value))


def _distance(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    return sum(weight * (a - b) ** 2 for a, b, weight in zip(first, second, WEIGHTS, strict=True))


def to_256_colors(rows: list[PictureRow]) -> list[PictureRow]:
    """Return the rows of a picture in the 256 colours, as styles of Rich."""
    return [[(text, _in_256_colors(style)) for text, style in row] for row in rows]


def _in_256_colors(style: str) -> str:
    words = (
        f"color({nearest_256(*bytes.fromhex(word[1:]))})" if word.startswith("#") else word
        for word in style.split()
    )
    return " ".join(words)
