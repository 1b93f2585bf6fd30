"""A comparison of runs as text in the shell."""

import json
from collections.abc import Callable
from typing import TypeVar

from rich.table import Table
from rich.text import Text

from cnn_engine.results.comparison import Compared, Comparison, Verdict
from cnn_engine.results.metrics import Rate
from cnn_tui.reports.console import results_console
from cnn_tui.text.metrics import interval_text, rate_text
from cnn_tui.text.numbers import decimal, duration, percent
from cnn_tui.text.safe import safe_text
from cnn_tui.text.verdicts import verdict_text

Value = TypeVar("Value")

MOST_CLASSES = 20
"""Of more, those that differ most are listed."""

LONGEST_VALUE = 40

FIGURES: dict[str, Callable[[Compared], str | None]] = {
    "name": lambda of: safe_text(of.summary.name, LONGEST_VALUE) or None,
    "config": lambda of: safe_text(of.summary.preset, LONGEST_VALUE) or None,
    "status": lambda of: of.summary.status,
    "epochs": lambda of: f"{of.summary.epochs_done}/{of.summary.epochs}",
    "best epoch": lambda of: _or_none(of.summary.best_epoch, str),
    "validation loss": lambda of: _or_none(of.summary.best_val_loss, decimal),
    "validation accuracy": lambda of: _or_none(of.summary.best_val_accuracy, _percent),
    "test loss": lambda of: _or_none(of.summary.test_loss, decimal),
    "test accuracy": lambda of: _or_none(of.figures, lambda its: rate_text(its.accuracy)),
    "95% interval": lambda of: _or_none(of.figures, lambda its: interval_text(its.accuracy)),
    "macro F1": lambda of: _or_none(of.figures, lambda its: decimal(its.macro_f1)),
    "calibration error": lambda of: _or_none(_calibration_error(of), _percent),
    "parameters": lambda of: _or_none(of.state.prepared, lambda its: f"{its.parameters:,}"),
    "device": lambda of: (
        safe_text(f"{of.summary.device} {of.summary.precision}".strip(), LONGEST_VALUE) or None
    ),
    "time": lambda of: duration(of.summary.seconds),
}
"""What stands side by side; None where a run has no such thing."""


def print_comparison(comparison: Comparison) -> None:
    """Print figures, settings, classes, and whether the differences are more than chance."""
    console = results_console()
    console.print(_figures(comparison))
    if comparison.settings:
        console.print("\nSet differently", style="bold")
        console.print(_settings(comparison))
    else:
        console.print("\nAll settings are the same", style="bold")
    if count := len(comparison.classes):
        some = f", the {MOST_CLASSES} of {count:,} that differ most" * (count > MOST_CLASSES)
        console.print(f"\nAccuracy by class{some}", style="bold")
        console.print(_classes(comparison))
    first, *others = comparison.runs
    count = sum(verdict.disagreement is not None for verdict in comparison.verdicts)
    for of, verdict in zip(others, comparison.verdicts, strict=True):
        console.print()
        console.print(_verdict(first, of, verdict, count), soft_wrap=not console.is_terminal)


def _table(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    for of in comparison.runs:
        table.add_column(Text(safe_text(of.run.id)), justify="right", overflow="fold")
    return table


def _figures(comparison: Comparison) -> Table:
    table = _table(comparison)
    for name, value_of in FIGURES.items():
        values = [value_of(of) for of in comparison.runs]
        if any(values):
            table.add_row(name, *(Text(value or "–") for value in values))
    return table


def _settings(comparison: Comparison) -> Table:
    table = _table(comparison)
    for key, values in comparison.settings.items():
        table.add_row(Text(safe_text(key, LONGEST_VALUE)), *(Text(_value(of)) for of in values))
    return table


def _classes(comparison: Comparison) -> Table:
    classes = comparison.classes
    names = list(classes)
    if len(names) > MOST_CLASSES:
        names = sorted(names, key=lambda name: -_spread(classes[name]))[:MOST_CLASSES]
    table = _table(comparison)
    is_pair = len(comparison.runs) == 2
    if is_pair:
        table.add_column("change", justify="right")
    for name in names:
        rates = classes[name]
        cells = [Text("–" if rate is None else rate_text(rate)) for rate in rates]
        change = [Text(_change(*rates))] if is_pair else []
        table.add_row(Text(safe_text(name, LONGEST_VALUE)), *cells, *change)
    return table


def _shares(rates: tuple[Rate | None, ...]) -> list[float]:
    return [rate.share for rate in rates if rate is not None and rate.share is not None]


def _spread(rates: tuple[Rate | None, ...]) -> float:
    shares = _shares(rates)
    return max(shares) - min(shares) if shares else 0.0


def _change(*rates: Rate | None) -> str:
    shares = _shares(rates)
    return f"{100 * (shares[1] - shares[0]):+.2f}" if len(shares) == 2 else "–"


def _verdict(first: Compared, other: Compared, verdict: Verdict, count: int) -> Text:
    """Whether two runs truly differ, in words."""
    names = safe_text(first.run.id), safe_text(other.run.id)
    told = verdict_text(*names, verdict, count)
    return Text.assemble(told.counts, (told.conclusion, "bold"), told.test)


def _calibration_error(of: Compared) -> float | None:
    return of.figures.calibration_error if of.figures else None


def _percent(share: float) -> str:
    return percent(share, 2)


def _or_none(value: Value | None, text_of: Callable[[Value], str]) -> str | None:
    return None if value is None else text_of(value)


def _value(value: object) -> str:
    """A setting, as it is written on the command line."""
    if value is None:
        return "–"
    return safe_text(value if isinstance(value, str) else json.dumps(value), LONGEST_VALUE)
