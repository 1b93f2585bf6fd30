"""Filters of all output: the nearest of 256 colours, and ASCII only."""

from functools import lru_cache

from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as Background
from textual.filter import LineFilter

from cnn_tui.pictures.colors import nearest_256
from cnn_tui.terminal.ascii import in_ascii

SHADE = "░"
"""Character of a shaded cell."""


class NearestColors(LineFilter):
    """Replaces every colour by the nearest one of a terminal with 256 colours."""

    def apply(self, segments: list[Segment], background: Background) -> list[Segment]:  # noqa: ARG002
        """Return the segments with the nearest colours."""
        return [
            Segment(text, style and _nearest_style(style), control)
            for text, style, control in segments
        ]


@lru_cache(maxsize=1024)
def _nearest_style(style: Style) -> Style:
    return style + Style(color=_nearest_color(style.color), bgcolor=_nearest_color(style.bgcolor))


def _nearest_color(color: Color | None) -> Color | None:
    if color is None or color.type is not ColorType.TRUECOLOR or color.triplet is None:
        return None
    return Color.from_ansi(nearest_256(*color.triplet))


class ShadeBand(LineFilter):
    """Draws the background of a band as characters, for terminals without colours."""

    def __init__(self, color: str) -> None:
        """Create a filter.

        Args:
            color: Background of the band, such as `#1f3042`.
        """
        super().__init__()
        self._color = Color.parse(color).triplet

    def apply(self, segments: list[Segment], background: Background) -> list[Segment]:  # noqa: ARG002
        """Return the segments with the band's blanks as shade."""
        return [
            Segment(text.replace(" ", SHADE), style, control)
            if style and style.bgcolor and style.bgcolor.triplet == self._color
            else Segment(text, style, control)
            for text, style, control in segments
        ]


class AsciiGlyphs(LineFilter):
    """Replaces every character that is not ASCII, cell by cell."""

    def apply(self, segments: list[Segment], background: Background) -> list[Segment]:  # noqa: ARG002
        """Return the segments with ASCII characters of the same width."""
        return [
            Segment(in_ascii(text), style, control)
            if not text.isascii()
            else Segment(text, style, control)
            for text, style, control in segments
        ]
