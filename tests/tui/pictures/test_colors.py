"""Conversion to the 256 colours of a terminal."""

import pytest
from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.color import Color as Background

from cnn_tui.dashboard.filters import NearestColors
from cnn_tui.pictures.colors import nearest_256, to_256_colors


@pytest.mark.parametrize("number", range(16, 256))
def test_nearest_256_keeps_palette_colors(number):
    triplet = Color.from_ansi(number).get_truecolor()
    assert Color.from_ansi(nearest_256(*triplet)).get_truecolor() == triplet


def test_nearest_256_maps_almost_grey_colors_to_grey():
    """Rich converts these to 52 (maroon), 17 (navy) and 58 (olive)."""
    assert nearest_256(50, 36, 36) in range(232, 256)
    assert nearest_256(24, 26, 48) in range(232, 256)
    assert nearest_256(60, 55, 40) in range(232, 256)
    assert nearest_256(250, 0, 0) == 196


def test_nearest_colors_filter_converts_both_colors():
    style = Style(color="#322424", bgcolor="#fa0000", bold=True)
    (segment,) = NearestColors().apply([Segment("x", style)], Background(0, 0, 0))
    assert segment.style is not None
    colors = segment.style.color, segment.style.bgcolor
    assert colors == (Color.from_ansi(nearest_256(50, 36, 36)), Color.from_ansi(196))
    assert segment.style.bold
    assert segment.text == "x"


def test_nearest_colors_filter_keeps_ansi_colors():
    segments = [Segment("a", Style(color="red")), Segment("b"), Segment("c", Style(bold=True))]
    assert NearestColors().apply(segments, Background(0, 0, 0)) == segments


def test_to_256_colors_converts_picture_rows(capsys):
    console = Console(force_terminal=True, color_system="256")
    (row,) = to_256_colors([[("▀", "#322424 on #fa0000"), (" ", "")]])
    console.print(Text.assemble(*row))
    assert f"\x1b[38;5;{nearest_256(50, 36, 36)};48;5;196m▀" in capsys.readouterr().out
