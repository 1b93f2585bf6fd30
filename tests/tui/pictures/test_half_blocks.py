"""Pictures drawn in character cells."""

from rich.text import Text
from textual.content import Content

from cnn_tui.pictures.half_blocks import Picture, draw_picture, fit_width, picture_height

RED, BLUE, GREY = b"\xff\0\0", b"\0\0\xff", b"\x80\x80\x80"


def test_cell_shows_two_pixels():
    picture = Picture(RED + BLUE, 1, 2, 3)
    assert draw_picture(picture, 1) == [[("▀", "#ff0000 on #0000ff")]]


def test_equal_cells_are_joined():
    picture = Picture(RED * 8, 4, 2, 3)
    assert draw_picture(picture, 4) == [[("▀▀▀▀", "#ff0000 on #ff0000")]]


def test_shrunk_picture_averages_pixels():
    picture = Picture((RED + BLUE) * 8, 4, 4, 3)
    assert draw_picture(picture, 2) == [[("▀▀", "#7b007b on #7b007b")]]


def test_enlarged_picture_repeats_pixels():
    picture = Picture(bytes([0, 255]), 2, 1, 1)
    assert draw_picture(picture, 4) == [
        [("▀▀", "#000000 on #000000"), ("▀▀", "#ffffff on #ffffff")]
    ]


def test_one_channel_is_drawn_as_grey():
    assert draw_picture(Picture(b"\x80\x80", 1, 2, 1), 1) == draw_picture(
        Picture(GREY * 2, 1, 2, 3), 1
    )


def test_bright_pixels_are_dense_characters_without_colors():
    picture = Picture(bytes([0, 128, 255]), 3, 1, 1)
    assert (
        draw_picture(picture, 3, colors=False)
        == [[(" +@", "")], [(" +@", "")]][: picture_height(picture, 3)]
    )


def test_fit_width_keeps_aspect_ratio():
    assert fit_width(Picture(b"", 32, 32, 3), 80, 10) == 20
    assert fit_width(Picture(b"", 32, 32, 3), 12, 10) == 12
    assert fit_width(Picture(b"", 1000, 10, 3), 80, 10) == 80
    assert picture_height(Picture(b"", 1000, 10, 3), 80) == 1


def test_rich_and_textual_accept_rows():
    (row,) = draw_picture(Picture(RED + BLUE, 1, 2, 3), 1)
    assert Text.assemble(*row).plain == Content.assemble(*row).plain == "▀"


def test_colors_have_32_levels():
    (row,) = draw_picture(Picture(bytes(range(256)) * 2, 256, 2, 1), 256)
    colors = {style.partition(" ")[0] for _, style in row}
    assert len(colors) == len(row) == 32
    assert {"#000000", "#ffffff"} <= colors
