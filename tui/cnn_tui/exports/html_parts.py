"""Building blocks of an HTML page; every text that is not `Markup` is escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from cnn_tui.exports.facts import Fact


class Markup(str):
    """Trusted HTML, inserted without escaping."""


def section(heading: str, content: str) -> str:
    """Return a section with a heading, or an empty string if there is no content."""
    return f"<section><h2>{heading}</h2>\n{content}</section>" if content else ""


def facts_table(facts: Iterable[Fact]) -> str:
    """Return a table with a label and a value in each row."""
    rows = "".join(
        f'<tr><th scope="row">{escape(fact.label)}</th><td>{escape(fact.value)}</td></tr>'
        for fact in facts
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def table(
    caption: str, heading: Sequence[str], rows: Iterable[Sequence[str]], style: str = "figures"
) -> str:
    """Return a table whose first column contains row headers; `style` is its CSS class."""
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
