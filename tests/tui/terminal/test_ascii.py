"""ASCII output for terminals without UTF-8."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from cnn_tui.dashboard.filters import AsciiGlyphs
from cnn_tui.terminal.ascii import ASCII, is_ascii_only


@pytest.mark.parametrize(
    ("environment", "ascii_only"),
    [
        ({}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LC_ALL": "C"}, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ({"LC_ALL": "", "LC_CTYPE": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "POSIX"}, True),
    ],
)
def test_is_ascii_only_by_locale(environment, ascii_only):
    assert is_ascii_only(environment) == ascii_only


COMBINED_EMOJI = st.text("a1❤👩🚀é日\ufe0f\u200d\u0301", max_size=8)


@given(st.text(max_size=40) | COMBINED_EMOJI)
@example("1\ufe0f\u20e3 ❤\ufe0f")
@example("👩\u200d🚀")
def test_ascii_replacement_has_the_same_width(text):
    (segment,) = AsciiGlyphs().apply([Segment(text)], Color(0, 0, 0))
    assert segment.text.isascii()
    if text.replace("\u200d", "").isprintable():
        assert cell_len(segment.text) == cell_len(text)


def test_ascii_replacements_in_a_group_are_distinct():
    for group in ("━─", "★○●", "✓✗■", "▁▂▃▄▅▆▇█", "○◍◌"):
        assert len({ASCII[glyph] for glyph in group}) == len(group)
