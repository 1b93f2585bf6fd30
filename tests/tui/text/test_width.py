"""Names are readable, and columns of them align."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from wcwidth import wcwidth

from cnn_tui.charts.axes import legend_line
from cnn_tui.text.safe import escaped, safe_text
from cnn_tui.text.width import cut, cut_start, fit, fold, pad, wrap

NAME_PARTS = [
    *(
        "a",
        "Z",
        " ",
        "9",
        "é",
        "e\u0301",
        "ß",
        "日本",
        "한글",
        "ｱ",
        "کتاب",
        "ه\u200cا",
        "हि",
        "\u3000",
    ),
    *(
        "❤️",
        "❤",
        "👩‍🌾",
        "👨‍👩‍👧‍👦",
        "👍🏽",
        "🇩🇪",
        "1️⃣",
        "⚠️",
        "🏴\U000e0067\U000e0062\U000e007f",
        "🐈",
    ),
    *(
        "\u200d",
        "\u200c",
        "\ufe0f",
        "\u0301",
        "\u202e",
        "\x1b[2J",
        "\x9b",
        "\n",
        "\u2028",
        "\ud800",
    ),
]
names = st.lists(st.sampled_from(NAME_PARTS), max_size=12).map("".join) | st.text(max_size=20)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("کتاب\u200cها", "کتاب\u200cها"),
        ("Auf\u200clage", "Auf\u200clage"),
        ("क्\u200dषि", "क्षि"),
        ("❤️ love", "❤ love"),
        ("👩‍🌾", "👩🌾"),
        ("👍🏽", "👍"),
        ("🇩🇪 Berlin", "DE Berlin"),
        ("1️⃣", "1\u20e3"),
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴"),
        ("cafe\u0301", "café"),
        ("a\u200db", "ab"),
        ("\u200d", r"\u200d"),
        ("\u0301a", r"\u0301a"),
        ("a\u200bb", r"a\u200bb"),
        ("a\u2028b", r"a\u2028b"),
        ("\U000e0067", r"\U000e0067"),
        ("日" * 50, "日" * 39 + "…"),
    ],
)
def test_joiners_and_emoji_are_readable_in_cells_of_certain_width(name, expected):
    """Joiners are no litter, and emoji shift no column (Textualize/textual#5980, rich#148)."""
    assert safe_text(name) == expected


def test_paths_and_exports_keep_joiners_and_emoji():
    assert escaped("photos/👩‍🌾/❤️.jpg") == "photos/👩‍🌾/❤️.jpg"
    assert escaped("کتاب\u200cها") == "کتاب\u200cها"
    assert escaped("\u202e\x1b") == r"\u202e\x1b"


@given(names, st.integers(1, 40))
def test_safe_text_has_a_certain_width_within_its_limit(name, limit):
    """Rich, Textual and wcwidth agree on its width, which is the sum over its characters."""
    shown = safe_text(name, limit)
    assert cell_len(shown) <= limit
    assert cell_len(shown) == sum(map(cell_len, shown))
    assert bool(shown) == bool(name)
    assert not set(shown) & set("\u200d\ufe0e\ufe0f\u2028\u2029\u202e\x1b\x9b\n")
    if set(name) <= set("".join(NAME_PARTS)) - set("हि"):  # wcwidths differ on spacing marks
        assert cell_len(shown) == sum(max(0, wcwidth(char)) for char in shown)


@given(names.map(safe_text), st.integers(0, 30), st.sampled_from(["left", "right"]))
def test_text_fits_exactly(text, width, justify):
    assert cell_len(cut(text, width)) <= width
    assert cell_len(cut_start(text, width)) <= width
    assert cell_len(fit(text, width, justify)) == width
    assert cell_len(pad(text, width, justify)) == max(width, cell_len(text))
    if cell_len(text) <= width:
        assert cut(text, width) == cut_start(text, width) == text


@given(names.map(safe_text), st.integers(2, 30))
def test_wrapped_lines_fit_and_keep_the_text(text, width):
    for lines in (wrap(text, width), fold(text, width)):
        assert all(cell_len(line) <= width for line in lines)
    assert "".join(wrap(text, width)).replace(" ", "") == "".join(text.split())
    assert "".join(fold(text, width)) == text


@given(names.map(safe_text), names.map(safe_text), st.integers(0, 60))
def test_legend_has_an_item_for_each_cell(one, other, width):
    line = legend_line([(one, "a"), (f"  {other}  ", "b")], [("val", "c")], width)
    assert len(line) == width
    assert cell_len("".join(char for char, _ in line)) <= width
