"""Padding, cutting and wrapping by display width: the cells that text takes on a terminal.

Text that has passed `safe_text` has the same width on all terminals, so that columns align.
"""

from collections.abc import Iterable
from typing import Literal

from rich.cells import cell_len

Justify = Literal["left", "right"]

ELLIPSIS = "…"


def cut(text: str, width: int) -> str:
    """Return the text; if it is wider than `width` cells, its beginning and an ellipsis."""
    if _is_short(text, width) or cell_len(text) <= width:
        return text
    return text[: _fitting(text, width - 1)] + ELLIPSIS if width > 0 else ""


def cut_start(text: str, width: int) -> str:
    """Return the text; if it is wider than `width` cells, an ellipsis and its end."""
    if _is_short(text, width) or cell_len(text) <= width:
        return text
    if width <= 0:
        return ""
    excess, start = cell_len(text) - (width - 1), 0
    while excess > 0 or (start < len(text) and not cell_len(text[start])):
        excess -= cell_len(text[start])
        start += 1
    return ELLIPSIS + text[start:]


def pad(text: str, width: int, justify: Justify = "left") -> str:
    """Return the text with spaces up to `width` cells; wider text is returned unchanged."""
    spaces = " " * (width - (len(text) if text.isascii() else cell_len(text)))
    return spaces + text if justify == "right" else text + spaces


def fit(text: str, width: int, justify: Justify = "left") -> str:
    """Return the text padded or cut to exactly `width` cells."""
    return pad(cut(text, width), width, justify)


def widest(texts: Iterable[str]) -> int:
    """Return the width in cells of the widest text; 0 without any."""
    return max(map(cell_len, texts), default=0)


def fold(text: str, width: int) -> list[str]:
    """Return the text in pieces of at most `width` cells, cut anywhere; [""] for no text."""
    pieces = []
    while True:
        # A character that is wider than the line is kept whole.
        end = _fitting(text, width) or _fitting(text, 2) or 1
        pieces.append(text[:end])
        text = text[end:]
        if not text:
            return pieces


def wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most `width` cells, cut at spaces where possible."""
    width = max(1, width)
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines += fold(word, width)
    return lines


def _is_short(text: str, width: int) -> bool:
    """Return True for ASCII text that fits: the common case, which is quick to check."""
    return len(text) <= width and text.isascii()


def _fitting(text: str, width: int) -> int:
    """Return the number of characters, with their combining marks, that fit into `width` cells."""
    used = 0
    for index, char in enumerate(text):
        used += cell_len(char)
        if used > width:
            return index
    return len(text)
