"""The 256 colours of a terminal that has no more, so that dark and pale ones keep their look.

Rich rounds each part of a colour to the cube by itself, so that dark greys become maroon or navy.
Here the nearest of the cube and the nearest grey compete.
"""

from functools import lru_cache

from cnn_tui.pictures.half_blocks import PictureRow

CUBE = (0, 95, 135, 175, 215, 255)
"""What each part of the colours 16 to 231 can be."""

GREYS = tuple(range(8, 248, 10))
"""The shades 232 to 255."""

WEIGHTS = (2, 4, 3)
"""How much a difference of red, green and blue is seen (T. Riemersma, compuphase.com/cmetric.htm,
without its terms for the mean of red)."""


@lru_cache(maxsize=4096)
def nearest_256(red: int, green: int, blue: int) -> int:
    """Number of the colour, 16 to 255, that is seen as most alike."""
    wanted = (red, green, blue)
    places = [min(range(6), key=lambda place: abs(CUBE[place] - part)) for part in wanted]
    mean = sum(part * weight for part, weight in zip(wanted, WEIGHTS, strict=True)) / sum(WEIGHTS)
    grey = min(range(len(GREYS)), key=lambda place: abs(GREYS[place] - mean))
    in_cube = _distance(wanted, tuple(CUBE[place] for place in places))
    if _distance(wanted, (GREYS[grey],) * 3) < in_cube:
        return 232 + grey
    return 16 + 36 * places[0] + 6 * places[1] + places[2]


def _distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum(
        weight * (mine - theirs) ** 2
        for mine, theirs, weight in zip(one, other, WEIGHTS, strict=True)
    )


def to_256_colors(rows: list[PictureRow]) -> list[PictureRow]:
    """Rows of a picture in colours that such a terminal has, for Rich."""
    return [[(text, _in_256_colors(style)) for text, style in row] for row in rows]


def _in_256_colors(style: str) -> str:
    words = (
        f"color({nearest_256(*bytes.fromhex(word[1:]))})" if word.startswith("#") else word
        for word in style.split()
    )
    return " ".join(words)
