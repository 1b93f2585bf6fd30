"""Filters and feature maps as pictures, and pictures side by side."""

from collections.abc import Sequence

from textual.content import Content

from cnn_engine.results.feature_maps import MapsFile
from cnn_tui.pictures.half_blocks import Picture, draw_picture, picture_height

GAP = 1
"""Cells between two pictures, and lines between two rows."""


def image_picture(maps: MapsFile, sample: int) -> Picture:
    """Return a sample image."""
    height, width, channels = maps.header.image
    return Picture(maps.image(sample), width, height, channels)


def stage_pictures(maps: MapsFile, sample: int, stage: int) -> list[Picture]:
    """Return the feature maps of a sample at a stage, on one grey scale: black is the minimum."""
    count, height, width = maps.header.stages[stage].shape
    pixels, size = maps.maps(sample, stage), height * width
    return [
        Picture(pixels[first : first + size], width, height, 1)
        for first in range(0, count * size, size)
    ]


def filter_range(maps: MapsFile) -> tuple[float, float]:
    """Return the minimum and the maximum of all filters' weights; NaN is skipped."""
    values = [value for value in maps.filter_values() if value == value]  # noqa: PLR0124 - NaN
    return min(values, default=0.0), max(values, default=0.0)


def filter_pictures(maps: MapsFile) -> list[Picture]:
    """Return the filters of the first layer, all on one scale: black is the minimum.

    Three channels are drawn as red, green and blue; with other numbers, their mean in grey.
    """
    filters = maps.header.filters
    if filters is None:
        return []
    count, channels, height, width = filters.shape
    low, high = filter_range(maps)
    values, area = maps.filter_values(), height * width
    scale = 255 / (high - low) if high > low else 0.0
    pictures = []
    for first in range(0, count * channels * area, channels * area):
        planes = [
            values[first + channel * area : first + (channel + 1) * area]
            for channel in range(channels)
        ]
        if channels != 3:
            planes = [tuple(sum(pixel) / channels for pixel in zip(*planes, strict=True))]
        pixels = bytes(
            _level((value - low) * scale) for pixel in zip(*planes, strict=True) for value in pixel
        )
        pictures.append(Picture(pixels, width, height, len(planes)))
    return pictures


def _level(value: float) -> int:
    return min(255, max(0, round(value))) if value == value else 0  # noqa: PLR0124 - NaN


def width_in_tile(picture: Picture, tile: int) -> int:
    """Return the width of a picture in a tile: the tile's, or a multiple of the picture's width."""
    return tile // picture.width * picture.width if picture.width <= tile else tile


def tile_height(picture: Picture, tile: int) -> int:
    """Return the lines of a picture in a tile of `tile` cells."""
    return picture_height(picture, width_in_tile(picture, tile))


def tiles_per_row(width: int, tile: int) -> int:
    """Return the number of tiles that fit the width."""
    return max(1, (width + GAP) // (tile + GAP))


def draw_row(pictures: Sequence[Picture], tile: int, *, colors: bool) -> list[Content]:
    """Return lines with pictures of one size side by side, each in a tile of `tile` cells."""
    drawn = [
        draw_picture(picture, width_in_tile(picture, tile), colors=colors) for picture in pictures
    ]
    lines = []
    for pieces in zip(*drawn, strict=True):
        cells = [Content.assemble(*piece).pad_right(_missing(piece, tile)) for piece in pieces]
        lines.append(Content(" " * GAP).join(cells))
    return lines


def _missing(piece: Sequence[tuple[str, str]], tile: int) -> int:
    return max(0, tile - sum(len(text) for text, _ in piece))


def draw_rows(
    pictures: Sequence[Picture], tile: int, width: int, height: int, *, colors: bool
) -> tuple[list[Content], int]:
    """Return the lines of as many pictures as fit, and the number of these pictures."""
    across = tiles_per_row(width, tile)
    down = max(1, (height + GAP) // (tile_height(pictures[0], tile) + GAP))
    shown = pictures[: across * down]
    lines: list[Content] = []
    for first in range(0, len(shown), across):
        if first:
            lines += [Content("")] * GAP
        lines += draw_row(shown[first : first + across], tile, colors=colors)
    return lines, len(shown)
