"""Hostile names, and parsers of exported CSV and HTML."""

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser

from cnn_engine.runlog.events import RunPrepared, RunStarted
from cnn_tui.exports.record import read_record
from golden import rewrite_events

HOSTILE = (
    "\x1b]0;title\x07",
    "\x1b[2J",
    "\x9b31m",
    "two\nlines",
    "bidi \u202e override",
    "[red]",
    "<script>alert(1)</script>",
    "[@click=app.exit] [link](http://example.org) <http://example.org> @someone #1 `code` |",
    '=HYPERLINK("http://example.org")',
    "lone \ud800 surrogate \U0001f600" + "x" * 500,
)


def with_environment(run, environment):
    """Return the record of the run with another command line and environment."""

    def change(event):
        match event:
            case RunStarted():
                return replace(
                    event, command=("cnn-tui", "run", "my config"), directory="/some <b>where"
                )
            case RunPrepared():
                return replace(event, environment=environment)
            case _:
                return event

    return read_record(rewrite_events(run, change))


def export_text(write, record):
    """Return the text that `write` exports."""
    out = io.StringIO()
    write(record, out)
    out.getvalue().encode()  # fails on lone surrogates
    return out.getvalue()


def csv_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


class Page(HTMLParser):
    """Elements and texts of an HTML page; fails if end tags do not match."""

    VOID = frozenset({"br", "img", "meta", "rect", "path", "circle", "polygon"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
