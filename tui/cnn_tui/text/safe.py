"""Escapes for text from outside, on a terminal or in a CSV file."""

import unicodedata
from collections.abc import Sequence

FORMULA_STARTS = ("=", "+", "-", "@")
"""First characters of a formula in a spreadsheet; tab and carriage return are escaped anyway."""


def safe_text(text: str, limit: int = 80) -> str:
    """Return text that is harmless on a terminal, cut to `limit` characters.

    Control, format and unassigned characters and lone surrogates become escapes.
    """
    if len(text) <= limit and text.isprintable():
        return text
    shown = "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char).startswith("C")
        else char
        for char in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def csv_cell(text: str, limit: int = 80) -> str:
    """Return safe text for a CSV cell that no spreadsheet evaluates as a formula."""
    shown = safe_text(text, limit)
    return f"'{shown}" if shown.startswith(FORMULA_STARTS) else shown


def class_name(classes: Sequence[str], index: int, limit: int = 80) -> str:
    """Return the name of a class as safe text; `class 3` if index 2 has no name."""
    return safe_text(classes[index], limit) if index < len(classes) else f"class {index + 1}"
