"""A picture with a heatmap over it."""

import re

import pytest

from cnn_engine.results.heatmap import Heatmap
from cnn_tui.pictures.colors import to_256_colors
from cnn_tui.pictures.half_blocks import Color, Picture, draw_picture, luma
from cnn_tui.pictures.heat import COLORS, SHADES, draw_heat

PICTURE = Picture(bytes(range(0, 256, 4)) * 3, 8, 8, 3)
LEFT_IS_HOT = Heatmap(values=bytes([255, 0, 0, 0]) * 2, width=4, height=2)


@pytest.mark.parametrize("colors", [True, False])
@pytest.mark.parametrize("columns", [1, 8, 13])
def test_size_is_that_of_the_picture(columns, colors):
    def size(rows):
        return [sum(len(text) for text, _ in row) for row in rows]

    drawn = draw_heat(PICTURE, LEFT_IS_HOT, columns, colors=colors)
    assert size(drawn) == size(draw_picture(PICTURE, columns, colors=colors))


def test_ranges_differ_in_brightness_and_in_256_colors():
    cold, warm, hot = ([luma(color) for color in ends] for ends in COLORS)
    assert max(cold) < min(warm)
    assert max(warm) < min(hot)
    greys = [
        draw_heat(Picture(bytes([value]), 1, 1, 1), heat(0), 1, colors=True) for value in (0, 255)
    ]
    warm_or_hot = [
        draw_heat(Picture(bytes([value]), 1, 1, 1), heat(level), 1, colors=True)
        for value in range(0, 256, 15)
        for level in (120, 255)
    ]
    for rows in to_256(greys):
        assert all(int(number) in {16, *range(232, 256)} for number in re.findall(r"\d+", rows))
    for rows in to_256(warm_or_hot):
        assert not any(int(number) in range(232, 256) for number in re.findall(r"\d+", rows))


def heat(value):
    return Heatmap(values=bytes([value]), width=1, height=1)


def to_256(pictures):
    return [to_256_colors(rows)[0][0][1] for rows in pictures]


def test_hot_part_is_yellow_and_the_rest_grey():
    for row in draw_heat(PICTURE, LEFT_IS_HOT, 8, colors=True):
        first, last = (
            [Color(*bytes.fromhex(word[1:])) for word in style.split(" on ")]
            for style in (row[0][1], row[-1][1])
        )
        assert all(color.red > color.blue + 75 for color in first)
        assert all(color.red == color.green == color.blue for color in last)


def test_characters_of_hot_and_cold_parts_differ():
    for row in draw_heat(PICTURE, LEFT_IS_HOT, 8, colors=False):
        text = "".join(text for text, _ in row)
        assert text[0] in SHADES[2]
        assert all(character in SHADES[0] for character in text[4:])
    assert len({*"".join(SHADES)}) == len("".join(SHADES))
