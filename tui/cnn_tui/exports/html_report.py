"""A run as one HTML page that needs nothing else: no script, no font, no request to anywhere.

Its policy forbids all of them too, so that a name from a log that slipped through as markup could
do nothing. Colours follow the reader's system, light or dark.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import TextIO

from cnn_engine.metrics import confusion_matrix
from cnn_tui.exports.facts import (
    ClassRow,
    Fact,
    class_rows,
    confused_pairs,
    confusion_of,
    environment,
    figures,
    notices,
    title,
)
from cnn_tui.exports.record import Record
from cnn_tui.exports.svg import accuracy_svg, loss_svg
from cnn_tui.exports.toml_text import toml_of
from cnn_tui.format import figure, percent, ratio, safe_text

MOST_CLASSES_IN_MATRIX = 40
"""A larger matrix would be a page of its own that nobody could read."""

TILES = (
    *("Test accuracy", "Test loss", "Best epoch", "Its validation loss"),
    *("Its validation accuracy", "Epochs", "Time"),
)

LEGEND = """<p class="legend">
<span><svg viewBox="0 0 40 12" aria-hidden="true"><path class="train" d="M0 6H40"/></svg>training\
</span>
<span><svg viewBox="0 0 40 12" aria-hidden="true"><path class="val" d="M0 6H40"/></svg>validation\
</span>%s</p>"""
BAND_LEGEND = """
<span>the shade: least to greatest loss of a step</span><span>★ best epoch</span>"""


def write_html(record: Record, out: TextIO) -> None:
    """Write the page."""
    style = files("cnn_tui.exports").joinpath("report.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    out.write(
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title(record))}</title>\n<style>{style}</style></head>\n"
        f"<body>\n{_body(record)}\n</body></html>\n"
    )


def _body(record: Record) -> str:
    parts = [
        _head(record),
        _curves(record),
        f'<div class="pair">{_classes(record)}{_matrix(record)}{_confused(record)}</div>',
        _epochs(record),
        _section("To train it again", _again(record)),
        _section("Environment", _facts(environment(record))),
        f"<footer>Made by cnn-tui from run {escape(safe_text(record.run.id))}</footer>",
    ]
    return "\n".join(part for part in parts if part)


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>\n{content}</section>" if content else ""


def _head(record: Record) -> str:
    known = dict(figures(record))
    status = known["Status"]
    tiles = "".join(
        f"<div><dt>{name}</dt><dd>{escape(known[name])}</dd></div>"
        for name in TILES
        if name in known
    )
    started = f" · started {escape(known['Started'])}" if "Started" in known else ""
    error = f'<p class="error">{escape(known["Error"])}</p>' if "Error" in known else ""
    told = "".join(f'<p class="notice">{escape(notice)}</p>' for notice in notices(record))
    return (
        f"<header><h1>{escape(title(record))}</h1>"
        f'<p><span class="status status-{status}">{status}</span>'
        f'<span class="muted">{started}</span></p>{error}{told}</header>\n'
        f'<dl class="tiles">{tiles}</dl>'
    )


def _curves(record: Record) -> str:
    loss, accuracy = loss_svg(record.state), accuracy_svg(record.state)
    shown = f"<figure>{loss}{LEGEND % BAND_LEGEND}</figure>" if loss else ""
    found = _section("Loss by epoch", shown)
    if accuracy:
        found += _section("Accuracy by epoch", f"<figure>{accuracy}{LEGEND % ''}</figure>")
    return found


def _classes(record: Record) -> str:
    where, classes = class_rows(record)
    rows = ([row.name, _bar(row.accuracy), *_shares(row)] for row in classes)
    table = _table(f"On the images of the {where}", _CLASS_HEADING, rows) if classes else ""
    return _section("Classes", table)


_CLASS_HEADING = ("class", "", "accuracy", "precision", "images")


def _bar(share: float | None) -> "_Markup":
    part = round(100 * (share or 0.0))
    return _Markup(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rest" width="100" height="8"/><rect class="part" width="{part}" height="8"/>'
        "</svg>"
    )


def _matrix(record: Record) -> str:
    (where, classes), counts = class_rows(record), confusion_of(record)
    if not counts or len(classes) > MOST_CLASSES_IN_MATRIX:
        return ""
    test, epochs = record.state.test, record.state.epochs
    correct = test.correct if test else epochs[-1].correct
    heading = "".join(f'<th scope="col">{escape(row.name)}</th>' for row in classes)
    lines = []
    for index, counts_of_row in enumerate(confusion_matrix(correct, counts)):
        images = classes[index].images
        cells = "".join(
            f'<td class="{_heat(ratio(count, images), right=index == column)}">{count:,}</td>'
            for column, count in enumerate(counts_of_row)
        )
        lines.append(f'<tr><th scope="row">{escape(classes[index].name)}</th>{cells}</tr>')
    table = (
        f'<table class="matrix"><caption>Images of the {where}: true class down, what it was taken '
        f"for across; framed is right</caption><thead><tr><td></td>{heading}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )
    return _section("What is taken for what", f'<div class="scroll">{table}</div>')


def _heat(share: float, *, right: bool) -> str:
    """How strongly a cell is coloured: by its share of the class's images."""
    level = sum(share > limit for limit in (0, 0.02, 0.1, 0.3))
    return f"q{level} right" if right else f"q{level}"


def _confused(record: Record) -> str:
    rows = [
        [f"{truth} taken for {predicted}", f"{count:,}", percent(share)]
        for truth, predicted, count, share in confused_pairs(record)
    ]
    table = _table("The pairs with the most images", ("", "images", "of the class"), rows)
    return _section("Most confused", table if rows else "")


def _epochs(record: Record) -> str:
    epochs, best = record.state.epochs, record.state.best_epochs
    rows = (
        [
            f"{epoch.epoch}{' ★' if epoch.epoch in best else ''}",
            f"{epoch.train_seconds + epoch.val_seconds:.1f} s",
            figure(epoch.train_loss),
            figure(epoch.val_loss),
            percent(epoch.train_accuracy, 2),
            percent(epoch.val_accuracy, 2),
        ]
        for epoch in epochs
    )
    heading = ("epoch", "time", *("training loss", "validation loss"), *_ACCURACIES)
    table = _table("★ where the validation loss was the best so far", heading, rows)
    is_open = " open" if len(epochs) <= 30 else ""
    details = f"<details{is_open}><summary>{len(epochs)} epochs</summary>{table}</details>"
    return _section("Epochs", details if epochs else "")


_ACCURACIES = ("training accuracy", "validation accuracy")


def _again(record: Record) -> str:
    config = escape(toml_of(record.state.config))
    how = "<p>Save this as <code>run.toml</code>, then: <code>cnn-tui run run.toml</code></p>"
    return f"{how}<pre><code>{config}</code></pre>"


def _facts(facts: Iterable[Fact]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in facts
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


class _Markup(str):
    """Markup of our own, not to be escaped."""


def _table(caption: str, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose rows are named by their first cell."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in heading)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_cell, cells))}</tr>'
        for name, *cells in rows
    )
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(content: str) -> str:
    return f"<td>{content if isinstance(content, _Markup) else escape(content)}</td>"


def _shares(row: ClassRow) -> list[str]:
    shares = ("–" if share is None else percent(share) for share in (row.accuracy, row.precision))
    return [*shares, f"{row.images:,}"]
