"""Escapes for text from outside, on a terminal or in a CSV file."""

import unicodedata


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
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown
