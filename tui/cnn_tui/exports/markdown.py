"""A run as Markdown in GitHub's dialect, for an issue, a pull request or a chat."""

import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from cnn_tui.exports.facts import (
    class_results,
    confused_pairs,
    environment_facts,
    listed_epochs,
    notice_texts,
    reliability_rows,
    result_facts,
    run_title,
    test_metric_rows,
)
from cnn_tui.exports.record import Record
from cnn_tui.exports.toml_text import to_toml
from cnn_tui.text.events import val_figure
from cnn_tui.text.metrics import BIN_HEADINGS, CLASS_HEADINGS, class_cells
from cnn_tui.text.numbers import figure, percent
from cnn_tui.text.provenance import command_line
from cnn_tui.text.shell import command_for

BACKTICKS = re.compile("`+")


def write_markdown(record: Record, out: TextIO) -> None:
    """Write the report."""
    out.write(to_markdown(record))


def to_markdown(record: Record) -> str:
    """The whole report."""
    parts = [
        f"# {code(run_title(record))}",
        *(f"> {code(notice)}" for notice in notice_texts(record)),
        _facts(result_facts(record)),
        _test(record),
        _classes(record),
        _reliability(record),
        _confused(record),
        _epochs(record),
        "## Environment\n",
        _facts(environment_facts(record)),
        "## To train it again\n",
        *_commands(record),
        "Elsewhere, save this as `run.toml`, then: `cnn-tui run run.toml`\n",
        _fenced(to_toml(record.state.config), "toml"),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part)


def code(text: str, *, in_table: bool = False) -> str:
    """A text as it is: in a code span nothing is markup, no link and no mention of anyone."""
    if not text.strip():
        return "–"
    fence = "`" * (1 + max((len(run) for run in BACKTICKS.findall(text)), default=0))
    space = " " if "`" in (text[0], text[-1]) else ""
    text = text.replace("|", "\\|") if in_table else text
    return f"{fence}{space}{text}{space}{fence}"


def _fenced(text: str, language: str) -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in BACKTICKS.findall(text)), default=0))
    return f"{fence}{language}\n{text}{fence}\n"


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text, and the others figures."""
    lines = [heading, [":--", *["--:"] * (len(heading) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return _table(["", ""], ([name, code(value, in_table=True)] for name, value in facts))


def _commands(record: Record) -> list[str]:
    """How it was started, and how to start another like it where it is kept."""
    parts = []
    if command := command_line(record.state):
        parts.append(f"It was started in {code(command.directory)} by\n")
        parts.append(_fenced(f"{command.words}\n", "sh"))
    return [*parts, f"Where it is kept: {code(command_for('run --like', record.run))}\n"]


def _test(record: Record) -> str:
    rows = [
        [code(row.name, in_table=True), row.value, code(row.remark, in_table=True)]
        for row in test_metric_rows(record)
    ]
    return f"## Test\n\n{_table(['', '', ''], rows)}" if rows else ""


def _reliability(record: Record) -> str:
    rows = reliability_rows(record)
    return f"## How right, by how sure\n\n{_table(BIN_HEADINGS, rows)}" if rows else ""


def _epochs(record: Record) -> str:
    epochs, shown = record.state.epochs, listed_epochs(record)
    if not shown:
        return ""
    best = record.state.best_epochs
    some = f", {len(shown)} of {len(epochs)} epochs" if len(shown) < len(epochs) else ""
    rows = (
        [
            f"{epoch.epoch}{' ★' if epoch.epoch in best else ''}",
            f"{epoch.train_seconds + epoch.val_seconds:.1f} s",
            figure(epoch.train_loss),
            val_figure(epoch),
            percent(epoch.val_accuracy, 2),
        ]
        for epoch in map(epochs.__getitem__, shown)
    )
    heading = ["epoch", "time", "training loss", "validation loss", "validation accuracy"]
    return f"## Epochs\n\n★ best so far{some}\n\n{_table(heading, rows)}"


def _classes(record: Record) -> str:
    where, classes = class_results(record)
    if not classes:
        return ""
    rows = ([code(row.name, in_table=True), *class_cells(row.metrics)] for row in classes)
    return f"## Classes, {where}\n\n{_table(['class', *CLASS_HEADINGS], rows)}"


def _confused(record: Record) -> str:
    pairs = confused_pairs(record)
    if not pairs:
        return ""
    rows = (
        [
            f"{code(row.truth, in_table=True)} taken for {code(row.predicted, in_table=True)}",
            row.images,
            row.share,
        ]
        for row in pairs
    )
    return f"## Most confused\n\n{_table(['', 'images', 'of the class'], rows)}"
