"""Pieces of an HTML page; whatever is not `Markup` is escaped."""

from collections.abc import Iterable, Sequence
from html import escape


class Markup(str):
    """Markup of our own, not to be escaped."""


def section(heading: str, content: str) -> str:
    """A part of the page under a heading; nothing where it has no content."""
    return f"<section><h2>{heading}</h2>\n{content}</section>" if content else ""


def facts_table(facts: Iterable[tuple[str, str]]) -> str:
    """Names and values, one below the other."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in facts
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def table(
    caption: str, heading: Sequence[str], rows: Iterable[Sequence[str]], style: str = "figures"
) -> str:
    """A table whose rows are named by their first cell."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in heading)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_cell, cells))}</tr>'
        for name, *cells in rows
    )
    return (
        f'<div class="scroll"><table class="{style}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(content: str) -> str:
    return f"<td>{content if isinstance(content, Markup) else escape(content)}</td>"
