"""Text from outside, made harmless for a terminal or a file."""

import re
import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len

from cnn_tui.text.width import cut

FORMULA_STARTS = ("=", "+", "-", "@")
"""First characters of a formula in a spreadsheet; tab and carriage return are escaped anyway."""

MAX_CHARACTERS_PER_CELL = 8
"""Limit of combining marks and joiners, which take no cell of their own."""

KEPT = re.compile(
    "[\u200c\u200d]"  # zero-width non-joiner and joiner
    "|(?<=\U0001f3f4)[\U000e0020-\U000e007f]+"  # after a black flag: the letters of a region
)
"""Format characters that scripts and emoji need, and that do no harm."""

WIDTH_CHANGING = re.compile("[\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
"""Joiners, variation selectors, skin tones and tags: terminals differ in the width of emoji with
them."""

FLAG_LETTERS = {0x1F1E6 + number: chr(ord("A") + number) for number in range(26)}
"""Regional indicators, two of which are drawn as a flag."""


def escaped(text: str, limit: int = 80) -> str:
    """Return text that is harmless on a terminal, in a file or a web page, cut to `limit` cells.

    Control, bidirectional, format and unassigned characters and lone surrogates become escapes.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    text = text[: MAX_CHARACTERS_PER_CELL * (limit + 1)]
    kept = {position for match in KEPT.finditer(text) for position in range(*match.span())}
    shown = "".join(
        _escape(char) if index not in kept and _is_unsafe(char, index) else char
        for index, char in enumerate(text)
    )
    return cut(shown, limit)


def safe_text(text: str, limit: int = 80) -> str:
    """Return harmless text whose width is the same on all terminals, cut to `limit` cells.

    Emoji are reduced to characters of certain width: families to their members, flags to letters.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown = escaped(text, MAX_CHARACTERS_PER_CELL * (limit + 1))
    plain = WIDTH_CHANGING.sub("", shown).translate(FLAG_LETTERS)
    if not cell_len(plain):  # nothing else is in the text
        plain = "".join(map(_escape, shown))
    return cut(unicodedata.normalize("NFC", plain), limit)


def csv_cell(text: str, limit: int = 80) -> str:
    """Return harmless text for a CSV cell that no spreadsheet evaluates as a formula."""
    shown = escaped(text, limit)
    return f"'{shown}" if shown.startswith(FORMULA_STARTS) else shown


def class_name(classes: Sequence[str], index: int, limit: int = 80) -> str:
    """Return the name of a class as safe text; `class 3` if index 2 has no name."""
    return safe_text(classes[index], limit) if index < len(classes) else f"class {index + 1}"


def _is_unsafe(char: str, index: int) -> bool:
    category = unicodedata.category(char)
    is_mark_on_nothing = index == 0 and category in ("Mn", "Me")
    return category[0] == "C" or category in ("Zl", "Zp") or is_mark_on_nothing


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()
