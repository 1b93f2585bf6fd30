"""A run as one self-contained HTML page: no script, no font, no network request.

A Content-Security-Policy forbids all of them, so unescaped markup from a log could do nothing.
Colours follow the system's light or dark theme.
"""

import hashlib
from base64 import b64encode
from html import escape
from importlib.resources import files
from typing import TextIO

from cnn_tui.charts.loss import axis_name
from cnn_tui.exports.facts import environment_facts, notice_texts, result_facts, run_title
from cnn_tui.exports.html_parts import facts_table, section, table
from cnn_tui.exports.html_results import result_sections
from cnn_tui.exports.record import Record
from cnn_tui.exports.svg import accuracy_svg, loss_svg, series_svg
from cnn_tui.exports.toml_text import to_toml
from cnn_tui.text.best import mark_text
from cnn_tui.text.numbers import decimal, percent
from cnn_tui.text.provenance import command_line
from cnn_tui.text.safe import safe_text
from cnn_tui.text.series import MAX_NAME, SERIES_HEADINGS, series_rows
from cnn_tui.text.shell import command_for

TILES = (
    *("test_accuracy", "test_loss", "best_epoch", "best_val_loss"),
    *("best_val_accuracy", "best_val_macro_f1", "epochs", "seconds"),
)
"""Ids of the facts shown in large type, in this order."""

MAX_CHARTS = 100
"""Series with a chart."""

LEGEND = """<p class="legend">
<span><svg viewBox="0 0 40 12" aria-hidden="true"><path class="train" d="M0 6H40"/></svg>training\
</span>
<span><svg viewBox="0 0 40 12" aria-hidden="true"><path class="val" d="M0 6H40"/></svg>validation\
</span>%s</p>"""
BAND_LEGEND = """
<span>shaded: lowest to highest loss of a step</span><span>★ best epoch</span>"""


def write_html(record: Record, out: TextIO) -> None:
    """Write the page, encoded as UTF-8 by `out`."""
    style = files("cnn_tui.exports").joinpath("report.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; "
    policy += "img-src data:; base-uri 'none'; form-action 'none'"
    out.write(
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(run_title(record))}</title>\n<style>{style}</style></head>\n"
        f"<body>\n{_body(record)}\n</body></html>\n"
    )


def _body(record: Record) -> str:
    parts = [
        _header(record),
        _curves(record),
        result_sections(record),
        _epochs(record),
        _series(record),
        section("Reproduce this run", _reproduce(record)),
        section("Environment", facts_table(environment_facts(record))),
        f"<footer>Made by cnn-tui from run {escape(safe_text(record.run.id))}</footer>",
    ]
    return "\n".join(part for part in parts if part)


def _header(record: Record) -> str:
    facts = {fact.id: fact for fact in result_facts(record)}
    status = facts["status"].value
    tiles = "".join(
        f"<div><dt>{facts[id_].label}</dt><dd>{escape(facts[id_].value)}</dd></div>"
        for id_ in TILES
        if id_ in facts
    )
    started = f" · started {escape(facts['started'].value)}" if "started" in facts else ""
    error = f'<p class="error">{escape(facts["error"].value)}</p>' if "error" in facts else ""
    notices = "".join(f'<p class="notice">{escape(notice)}</p>' for notice in notice_texts(record))
    return (
        f"<header><h1>{escape(run_title(record))}</h1>"
        f'<p><span class="status status-{status}">{status}</span>'
        f'<span class="muted">{started}</span></p>{error}{notices}</header>\n'
        f'<dl class="tiles">{tiles}</dl>'
    )


def _curves(record: Record) -> str:
    loss, accuracy = loss_svg(record.state), accuracy_svg(record.state)
    axis = axis_name(record.state)
    loss_figure = f"<figure>{loss}{LEGEND % BAND_LEGEND}</figure>" if loss else ""
    sections = section(f"Loss by {axis}", loss_figure)
    if accuracy:
        sections += section(f"Accuracy by {axis}", f"<figure>{accuracy}{LEGEND % ''}</figure>")
    return sections


def _epochs(record: Record) -> str:
    epochs, best = record.state.epochs, record.state.best_epochs
    rows = (
        [
            f"{epoch.epoch}{' ★' if epoch.epoch in best else ''}",
            f"{epoch.train_seconds + epoch.val_seconds:.1f} s",
            decimal(epoch.known_train_loss),
            decimal(epoch.known_val_loss),
            percent(epoch.train_accuracy, 2),
            percent(epoch.val_accuracy, 2),
        ]
        for epoch in epochs
    )
    heading = ("epoch", "time", *("training loss", "validation loss"), *_ACCURACIES)
    epoch_table = table(mark_text(record.state.best_metric), heading, rows)
    is_open = " open" if len(epochs) <= 30 else ""
    details = f"<details{is_open}><summary>{len(epochs)} epochs</summary>{epoch_table}</details>"
    return section("Epochs", details if epochs else "")


def _series(record: Record) -> str:
    """Return a table of all series, and a chart of each."""
    rows = series_rows(record.state)
    if not rows:
        return ""
    charts = "".join(
        f"<figure>{svg}<figcaption>{escape(safe_text(name, MAX_NAME))}</figcaption></figure>"
        for name in list(record.state.series)[:MAX_CHARTS]
        if (svg := series_svg(record.state, name))
    )
    heading = f"Charts by {axis_name(record.state)}; shaded: lowest to highest value of a step"
    details = f"<details><summary>{heading}</summary>{charts}</details>" if charts else ""
    return section("Series", table("Values of all series", SERIES_HEADINGS, rows) + details)


_ACCURACIES = ("training accuracy", "validation accuracy")


def _reproduce(record: Record) -> str:
    config = escape(to_toml(record.state.config).strip())
    like = escape(command_for("run --like", record.run))
    started = ""
    if command := command_line(record.state):
        directory, words = escape(command.directory), escape(command.command)
        started = f"<p>Started in <code>{directory}</code> with</p>"
        started += f'<pre class="command"><code>{words}</code></pre>'
    if not record.state.is_own:
        return f"{started}<p>Its config</p><pre><code>{config}</code></pre>" if config else started
    return (
        f"{started}<p>On the machine that has the run: <code>{like}</code></p>"
        "<p>Anywhere else, save this as <code>run.toml</code> and run "
        f"<code>cnn-tui run run.toml</code></p><pre><code>{config}</code></pre>"
    )
