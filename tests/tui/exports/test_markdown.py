"""The Markdown report, rendered with markdown-it."""

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from cnn_engine.runlog.events import EpochFinished
from cnn_engine.runlog.log import LogReader
from cnn_tui.exports.markdown import code, write_markdown
from cnn_tui.exports.record import read_record
from exports_for_tests import Page, export_text
from golden import add_events, golden_run


def rendered(record):
    """Return the Markdown report as HTML."""
    return (
        MarkdownIt("gfm-like", {"html": True, "linkify": False})
        .enable("table")
        .render(export_text(write_markdown, record))
    )


def test_markdown_renders_tables(completed):
    html = rendered(completed)
    assert html.count("<table>") >= 4
    assert "<code>99.72%</code>" in html
    assert "<h2>Epochs</h2>" in html


def test_names_are_escaped_in_markdown(hostile):
    html = rendered(hostile)
    page = Page(html)
    assert not page.open
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"a", "script", "img"})
    (heading,) = re.findall(r"<h1>(.*)</h1>", html)
    assert heading.startswith("<code>")
    for row in re.findall(r"<tr>.*?</tr>", html, re.DOTALL):
        assert len(re.findall("<t[dh]", row)) in (2, 3, 4, 5, 6)
    # GitHub would turn these into links outside a code span.
    text = re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL)
    assert "@someone" not in text
    assert "example.org" not in text


@pytest.mark.parametrize("text", ["a", "`", "``a`", "a|b", "x\\", "<b>"])
def test_code_span_keeps_its_text(text):
    html = MarkdownIt().render(code(text))
    assert Page(html).texts[0] == text


def test_long_run_lists_some_epochs_with_the_best(tmp_path):
    run = golden_run(tmp_path, "completed")
    epochs = [event for event in LogReader(run.events).poll() if isinstance(event, EpochFinished)]
    extra_epochs = [replace(epochs[-1], epoch=number, val_loss=1.0) for number in range(21, 500)]
    record = read_record(add_events(run, *extra_epochs))
    text = export_text(write_markdown, record)
    assert len(text.splitlines()) < 150
    assert f"\n| {record.state.best.epoch} ★ |" in text
    assert "\n| 499 |" in text
