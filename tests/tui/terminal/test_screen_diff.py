"""ScreenDiff writes less, and gives the same screen."""

import random

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from cnn_tui.terminal.screen_diff import SYNC_END, SYNC_START, ScreenDiff, parse_style
from cnn_tui.text.width import cut, pad

ROWS, COLUMNS = 7, 24
STYLES = ["", "1", "1;31", "38;2;1;2;3", "38;5;9;48;2;9;9;9", "7;48;5;3", "4;93;104", "0"]
CHARACTERS = [*"ab ─⠅★é日", "e\u0301"]

painted = st.builds(
    lambda row, column, style, text, end: (
        f"\x1b[{row};{column}H\x1b[{style}m{pad(cut(text, COLUMNS + 1 - column), 1)}\x1b[0m{end}"
    ),
    st.integers(1, ROWS - 2),  # pyte wraps before a combining character in the last column
    st.integers(1, COLUMNS),
    st.sampled_from(STYLES),
    st.lists(st.sampled_from(CHARACTERS), min_size=1, max_size=COLUMNS).map("".join),
    st.sampled_from(["", "\n"]),  # not in the last row, where it would scroll
)
other = st.sampled_from(
    ["\x1b[2J", "\x07", "\x1b]22;default\x07", "\x1b[?25l", SYNC_START, SYNC_END, "\x1b[2;3H"]
)
frames = st.lists(st.lists(painted | other, max_size=8).map("".join), min_size=1, max_size=8)


def screen_after(writes):
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(screen)
    for text in writes:
        stream.feed(text)
    return [[screen.buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)]


@settings(max_examples=300)
@given(frames)
def test_minimized_output_gives_the_same_screen(writes):
    screen_diff = ScreenDiff()
    assert screen_after([screen_diff.minimize(text) for text in writes]) == screen_after(writes)


def test_unchanged_cells_are_not_written():
    screen_diff = ScreenDiff()
    frame = "\x1b[2;3H\x1b[1;38;2;1;2;3mabc\x1b[0m\n\x1b[3;1Hxyz\x1b[1;1H"
    assert "abc" in screen_diff.minimize(frame)
    assert screen_diff.minimize(frame) == ""
    assert all(screen_diff.minimize(text) == "" for text in (SYNC_START, frame, SYNC_END))
    changed = screen_diff.minimize(frame.replace("xyz", "xyZ"))
    assert "Z" in changed
    assert "abc" not in changed
    assert "xy" not in changed


def test_all_cells_are_written_after_invalidate_or_clear():
    screen_diff = ScreenDiff()
    frame = "\x1b[2;3Habc\x1b[1;1H"
    screen_diff.minimize(frame)
    screen_diff.invalidate()
    assert "abc" in screen_diff.minimize(frame)
    screen_diff.minimize("\x1b[2J")
    assert "abc" in screen_diff.minimize(frame)


def test_unchanged_wide_characters_are_not_written():
    screen_diff, frame = ScreenDiff(), "\x1b[1;1H日本語 │ 12%\x1b[2;1H"
    assert "日本語" in screen_diff.minimize(frame)
    assert screen_diff.minimize(frame) == ""
    changed = screen_diff.minimize(frame.replace("12", "13"))
    assert "3" in changed
    assert "日" not in changed


@pytest.mark.parametrize("drawn", ["字", "字字字", ""])
def test_text_after_a_word_of_uncertain_width_is_in_its_column(drawn):
    """A terminal that draws a word wider or narrower does not shift what follows.

    See Textualize/textual#5980.
    """
    written = ScreenDiff().minimize("\x1b[1;1H│ हिन्दी │ 12%\x1b[2;1H")
    row = screen_after([written.replace("हिन्दी", drawn)])[0]
    width = cell_len("│ हिन्दी ")
    assert row[width].data == "│"
    assert "".join(cell.data for cell in row[width + 2 :][:3]) == "12%"


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("", (frozenset(), "", "")),
        ("1;38;2;1;2;3;48;5;7", (frozenset("1"), "38;2;1;2;3", "48;5;7")),
        ("4;93;104", (frozenset("4"), "93", "104")),
    ],
)
def test_parse_style(codes, style):
    assert tuple(parse_style(codes)) == style


def test_small_change_writes_few_characters():
    random.seed(0)
    rows = ["".join(random.choices("abc ", k=100)) for _ in range(30)]
    style = "\x1b[38;2;213;219;229;48;2;16;20;27m"

    def frame(rows):
        return "\n".join(f"\x1b[{y};1H{style}{row}\x1b[0m" for y, row in enumerate(rows, 1))

    screen_diff = ScreenDiff()
    assert len(screen_diff.minimize(frame(rows))) < len(frame(rows))
    rows[7] = "z" + rows[7][1:]
    assert len(screen_diff.minimize(frame(rows))) < 60
