"""Filters and feature maps as pictures."""

import struct

import msgspec
import pytest

from cnn_engine.results.feature_maps import MAPS_FILE, MapsFile, read_feature_maps
from cnn_tui.pictures.half_blocks import Picture
from cnn_tui.pictures.maps import draw_rows, filter_pictures, filter_range, stage_pictures
from golden import DATA


def test_filters_are_drawn_on_one_scale():
    maps = read_feature_maps(DATA / MAPS_FILE)
    low, high = filter_range(maps)
    values = maps.filter_values()
    assert (low, high) == (min(values), max(values))
    pixels = b"".join(picture.pixels for picture in filter_pictures(maps))
    assert (min(pixels), max(pixels)) == (0, 255)
    expected = [round((value - low) / (high - low) * 255) for value in values]
    assert list(pixels) == pytest.approx(expected, abs=1)


def test_filters_with_three_channels_are_colored():
    maps = read_feature_maps(DATA / MAPS_FILE)

    def pictures_of(channels, values):
        filters = msgspec.structs.replace(maps.header.filters, shape=(1, channels, 1, 2))
        header = msgspec.structs.replace(maps.header, filters=filters, samples=())
        return filter_pictures(MapsFile(header, struct.pack(f"<{len(values) + 1}f", *values, 0.0)))

    (colored,) = pictures_of(3, [0.0, 1.0, 0.5, 0.0, 0.0, 0.25])
    assert (colored.channels, list(colored.pixels)) == (3, [0, 128, 0, 255, 0, 64])
    (grey,) = pictures_of(2, [0.0, 1.0, 1.0, 1.0])
    assert (grey.channels, list(grey.pixels)) == (1, [128, 255])
    (non_finite,) = pictures_of(1, [float("nan"), float("inf")])
    assert len(non_finite.pixels) == 2


def test_stage_pictures_returns_one_picture_per_map():
    maps = read_feature_maps(DATA / MAPS_FILE)
    for stage, stage_header in enumerate(maps.header.stages):
        pictures = stage_pictures(maps, 3, stage)
        assert len(pictures) == stage_header.shape[0]
        assert b"".join(picture.pixels for picture in pictures) == maps.maps(3, stage)
        assert {(picture.height, picture.width) for picture in pictures} == {stage_header.shape[1:]}


def test_draw_rows_draws_only_pictures_that_fit():
    pictures = [Picture(bytes(64), 8, 8, 1)] * 10
    lines, shown = draw_rows(pictures, 8, 40, 9, colors=True)
    assert (len(lines), shown) == (9, 8)
    assert all(line.cell_length <= 40 for line in lines)
    lines, shown = draw_rows(pictures, 8, 200, 100, colors=False)
    assert (len(lines), shown) == (4, 10)
