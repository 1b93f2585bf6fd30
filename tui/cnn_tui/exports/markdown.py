"""A run as GitHub-flavoured Markdown, for an issue, a pull request or a chat."""

import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from cnn_tui.exports.facts import (
    Fact,
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
from cnn_tui.text.best import mark_text
from cnn_tui.text.metrics import BIN_HEADINGS, CLASS_HEADINGS, class_cells
from cnn_tui.text.numbers import decimal, percent
from cnn_tui.text.provenance import command_line
from cnn_tui.text.series import SERIES_HEADINGS, series_rows
from cnn_tui.text.shell import command_for

ANYWHERE_ELSE = "Anywhere else, save this as `run.toml` and run `cnn-tui run run.toml`\n"

BACKTICKS = re.compile("`+")


def write_markdown(record: Record, out: TextIO) -> None:
    """Write the report of a run."""
    out.write(to_markdown(record))


def to_markdown(record: Record) -> str:
    """Return the report of a run."""
    parts = [
        f"# {code(run_title(record))}",
        *(f"> {code(notice)}" for notice in notice_texts(record)),
        _facts(result_facts(record)),
        _test(record),
        _classes(record),
        _reliability(record),
        _confused(record),
        _epochs(record),
        _series(record),
        "## Environment\n",
        _facts(environment_facts(record)),
        *_reproduce(record),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part)


def code(text: str, *, in_table: bool = False) -> str:
    """Return the text as a code span, where nothing becomes markup, a link or a mention."""
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
    """Return a table; the first column is aligned left, the others right."""
    lines = [heading, [":--", *["--:"] * (len(heading) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _facts(facts: Iterable[Fact]) -> str:
    return _table(["", ""], ([fact.label, code(fact.value, in_table=True)] for fact in facts))


def _commands(record: Record) -> list[str]:
    """Return the command that started the run, and the one that repeats it."""
    parts = []
    if command := command_line(record.state):
        parts.append(f"Started in {code(command.directory)} with\n")
        parts.append(_fenced(f"{command.command}\n", "sh"))
    if not record.state.is_own:
        return parts
    return [
        *parts,
        f"On the machine that has the run: {code(command_for('run --like', record.run))}\n",
    ]


def _reproduce(record: Record) -> list[str]:
    """Return the commands and the config, with their heading if there are any."""
    parts = _commands(record)
    if record.state.is_own:
        parts.append(ANYWHERE_ELSE)
    if config := to_toml(record.state.config).strip():
        parts.append(_fenced(f"{config}\n", "toml"))
    return ["## Reproduce this run\n", *parts] if parts else []


def _test(record: Record) -> str:
    rows = [
        [code(row.name, in_table=True), row.value, code(row.remark, in_table=True)]
        for row in test_metric_rows(record)
    ]
    return f"## Test\n\n{_table(['', '', ''], rows)}" if rows else ""


def _reliability(record: Record) -> str:
    rows = reliability_rows(record)
    return f"## Calibration\n\n{_table(BIN_HEADINGS, rows)}" if rows else ""


def _epochs(record: Record) -> str:
    epochs, shown = record.state.epochs, listed_epochs(record)
    if not shown:
        return ""
    best = record.state.best_epochs
    subset = f", {len(shown)} of {len(epochs)} epochs" if len(shown) < len(epochs) else ""
    rows = (
        [
            f"{epoch.epoch}{' ★' if epoch.epoch in best else ''}",
            f"{epoch.train_seconds + epoch.val_seconds:.1f} s",
            decimal(epoch.known_train_loss),
            decimal(epoch.known_val_loss),
            percent(epoch.val_accuracy, 2),
        ]
        for epoch in map(epochs.__getitem__, shown)
    )
    heading = ["epoch", "time", "training loss", "validation loss", "validation accuracy"]
    marked = mark_text(record.state.best_metric)
    return f"## Epochs\n\n{marked}{subset}\n\n{_table(heading, rows)}"


def _series(record: Record) -> str:
    rows = [[code(row.name, in_table=True), *row[1:]] for row in series_rows(record.state)]
    return f"## Series\n\n{_table(SERIES_HEADINGS, rows)}" if rows else ""


def _classes(record: Record) -> str:
    images, classes = class_results(record)
    if not classes:
        return ""
    rows = ([code(row.name, in_table=True), *class_cells(row.metrics)] for row in classes)
    return f"## Classes, {images}\n\n{_table(['class', *CLASS_HEADINGS], rows)}"


def _confused(record: Record) -> str:
    pairs = confused_pairs(record)
    if not pairs:
        return ""
    rows = (
        [
            f"{code(row.target, in_table=True)} → {code(row.predicted, in_table=True)}",
            row.images,
            row.fraction,
        ]
        for row in pairs
    )
    heading = ["true → predicted", "images", "of the class"]
    return f"## Most confused\n\n{_table(heading, rows)}"
