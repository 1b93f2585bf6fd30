"""Text from outside, made harmless for a terminal or a CSV file."""

import unicodedata


def safe_text(text: str, limit: int = 80) -> str:
    """Text from outside, harmless on a terminal and of bearable length.

    Control, format and unassigned characters, lone surrogates among them, are shown as escapes.
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
    """Safe text as a cell of CSV, which no spreadsheet takes for a formula."""
    shown = safe_text(text, limit)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown
