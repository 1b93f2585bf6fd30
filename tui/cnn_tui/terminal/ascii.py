"""ASCII replacements for terminals without UTF-8."""

import os
import unicodedata
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TextIO

from rich.cells import cell_len

PAIRS = (
    # bars, rules and borders
    "━= ╸- ─- │| ┊: ┤| ├+ ┬+ ┴+ ┼+ └+ ┘+ ┌+ ┐+ ╭+ ╮+ ╰+ ╯+ ▊| ▎| ▌| ▐| ▔- "
    # sparks and scroll bars
    "▁_ ▂. ▃- ▄: ▅= ▆+ ▇* █# ░` "
    # badges and marks
    '▀" ★* ●@ ○o ◷. ◍% ◌~ ✓+ ✗x ■# ▶> ‖" ◆^ ▸> ▴^ ▾v '
    # text
    '×x ·. …~ –- —- −- ≈~ ²2 →> ←< ↑^ ↓v ›> ±+ “" ”" ’\''
)
ASCII = {pair[0]: pair[1] for pair in PAIRS.split()}

JOINERS = frozenset("\ufe0f\u200d")
"""Characters that change the width of their neighbours: ❤ is one cell wide, ❤\ufe0f is two."""

BRAILLE = range(0x2800, 0x2900)
BRAILLE_ROWS = (0x09, 0x12, 0x24, 0xC0)
"""Dots of a braille cell in each of its four rows."""
HALVES = (0x47, 0xB8)
"""Dots of its left and right column."""
CHECKS = {0x05, 0x42, 0x28, 0x90}
"""Dots of a column in which every other dot is set, as in a shaded area."""


def is_ascii_only(environment: Mapping[str, str] = os.environ) -> bool:
    """Return True if the locale's encoding is not UTF-8; False if no locale is set.

    Python's own encoding cannot be used for this: Python writes UTF-8 in the C locale too.
    """
    names = (environment.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next(filter(None, names), "UTF-8")
    return "utf" not in locale.lower()


class AsciiStream:
    """A text stream that writes ASCII; all else is that of the stream it writes to."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text in ASCII."""
        return self._stream.write(in_ascii(text))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a stream
        return getattr(self._stream, name)


def for_locale(stream: TextIO) -> TextIO:
    """Return the stream, or one that writes ASCII to it if the locale has no UTF-8."""
    return AsciiStream(stream) if is_ascii_only() else stream  # type: ignore[return-value]


def in_ascii(text: str) -> str:
    """Return the text in ASCII with the same width in cells."""
    if JOINERS.isdisjoint(text):
        return "".join(map(_in_ascii, text))
    widths = [cell_len(text[:end]) for end in range(len(text) + 1)]
    return "".join(
        _in_ascii(char)[: after - before].ljust(after - before, "?")
        for char, (before, after) in zip(text, pairwise(widths), strict=True)
    )


def _in_ascii(char: str) -> str:
    if char.isascii():
        return char
    if ord(char) in BRAILLE:
        return _dots_in_ascii(ord(char) - BRAILLE.start)
    letter = unicodedata.normalize("NFD", char)[0]  # e of é
    return ASCII.get(char) or (letter if letter.isascii() else "?" * cell_len(char))


def _dots_in_ascii(dots: int) -> str:
    """Return a character of about the height and density of the dots."""
    rows = [row for row, bits in enumerate(BRAILLE_ROWS) if dots & bits]
    if not rows:
        return " "
    if any(dots & half in CHECKS for half in HALVES):
        return ":"
    if len(rows) >= 3:
        return "|" if len(rows) == dots.bit_count() else "#"
    return "'-.."[rows[0]] if len(rows) == 1 else '":.'[rows[0]]
