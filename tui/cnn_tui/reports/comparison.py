"""The report of `cnn-tui compare`."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnn_engine.results.comparison import Comparison, RunResults, Verdict
from cnn_engine.results.metrics import Rate
from cnn_engine.runlog.state import RunState
from cnn_tui.charts.traces import LETTERS
from cnn_tui.reports.console import results_console
from cnn_tui.text.json import config_value_text
from cnn_tui.text.metrics import interval_text, rate_text
from cnn_tui.text.numbers import decimal, duration, out_of, percent
from cnn_tui.text.safe import safe_text
from cnn_tui.text.series import first_series, series_cell, shared_series
from cnn_tui.text.shell import command_for
from cnn_tui.text.verdicts import can_be_tested, verdict_text

Value = TypeVar("Value")

MAX_CLASSES = 20
"""Classes listed: those that differ most."""

MAX_VALUE_LENGTH = 40

CHART_HEIGHT, MAX_CHART_WIDTH = 14, 100

RUN_STYLES = (
    *("bright_blue", "orange1", "bright_green", "bright_red"),
    *("bright_magenta", "bright_cyan", "white", "bright_black"),
)
"""Colours of the compared runs, as in the chart."""

ROWS: dict[str, Callable[[RunResults], str | None]] = {
    "name": lambda run: safe_text(run.summary.name, MAX_VALUE_LENGTH) or None,
    "config": lambda run: safe_text(run.summary.preset, MAX_VALUE_LENGTH) or None,
    "status": lambda run: run.summary.status,
    "epochs": lambda run: out_of(run.summary.epochs_done, run.summary.epochs),
    "best epoch": lambda run: _or_none(run.summary.best_epoch, str),
    "validation loss": lambda run: _or_none(run.summary.best_val_loss, decimal),
    "validation accuracy": lambda run: _or_none(run.summary.best_val_accuracy, _percent),
    "test loss": lambda run: _or_none(run.summary.test_loss, decimal),
    "test accuracy": lambda run: _or_none(run.metrics, lambda metrics: rate_text(metrics.accuracy)),
    "95% interval": lambda run: _or_none(
        run.metrics, lambda metrics: interval_text(metrics.accuracy)
    ),
    "macro F1": lambda run: _or_none(run.metrics, lambda metrics: decimal(metrics.macro.f1)),
    "calibration error": lambda run: _or_none(_calibration_error(run), _percent),
    "parameters": lambda run: _or_none(
        run.state.prepared, lambda prepared: f"{prepared.parameters:,}"
    ),
    "device": lambda run: (
        safe_text(f"{run.summary.device} {run.summary.precision}".strip(), MAX_VALUE_LENGTH) or None
    ),
    "time": lambda run: duration(run.summary.seconds),
}
"""Text of each row for a run; None if the run has no such value."""


def print_comparison(comparison: Comparison) -> None:
    """Print metrics, config differences, classes, and the significance of the differences."""
    console = results_console()
    console.print(_metrics(comparison))
    shared = shared_series(compared.state for compared in comparison.runs)
    if more := len(shared) - len(first_series(shared)):
        ids = [compared.run.id for compared in comparison.runs[1:]]
        command = command_for("export", comparison.runs[0].run, *ids, "--to", "csv-series")
        console.print(Text(f"… and {more:,} more series: {command}", "dim"))
    _print_curves(console, [compared.state for compared in comparison.runs])
    if comparison.config_differences:
        console.print("\nConfig differences", style="bold")
        console.print(_settings(comparison))
    else:
        console.print("\nNo config differences", style="bold")
    if count := len(comparison.class_accuracies):
        limit = f", the {MAX_CLASSES} of {count:,} that differ most" * (count > MAX_CLASSES)
        console.print(f"\nAccuracy by class{limit}", style="bold")
        console.print(_classes(comparison))
    first, *others = comparison.runs
    count = sum(verdict.disagreement is not None for verdict in comparison.verdicts)
    for other, verdict in zip(others, comparison.verdicts, strict=True):
        if not can_be_tested(first.state, other.state):
            continue
        console.print()
        console.print(_verdict(first, other, verdict, count), soft_wrap=not console.is_terminal)


def _print_curves(console: Console, states: Sequence[RunState]) -> None:
    """Print the validation losses in one chart; without colours, each curve has its letter."""
    from cnn_tui.charts.report import val_loss_chart  # noqa: PLC0415 - plotext loads slowly

    shown = states[: len(LETTERS)]
    has_color = console.color_system is not None and not console.no_color
    markers = ["braille"] * len(shown) if has_color else LETTERS
    chart = val_loss_chart(shown, min(console.width, MAX_CHART_WIDTH), CHART_HEIGHT, markers)
    if chart:
        names = [
            (f"{letter} {safe_text(state.started.run_id if state.started else '')}", style)
            for letter, state, style in zip(LETTERS, shown, RUN_STYLES, strict=False)
        ]
        parts = [part for name in names for part in ("  ", name)]
        console.print(Text.assemble(("\nValidation loss by epoch:", "bold"), *parts))
        console.print(Text.from_ansi(chart))


def _table(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    for compared in comparison.runs:
        table.add_column(Text(safe_text(compared.run.id)), justify="right", overflow="fold")
    return table


def _metrics(comparison: Comparison) -> Table:
    table = _table(comparison)
    for name, to_text in ROWS.items():
        texts = [to_text(run) for run in comparison.runs]
        if any(texts):
            table.add_row(name, *(Text(text or "–") for text in texts))
    states = [run.state for run in comparison.runs]
    for name in first_series(shared_series(states)):
        cells = [series_cell(state, name) for state in states]
        table.add_row(*map(Text, [safe_text(name, MAX_VALUE_LENGTH), *cells]))
    return table


def _settings(comparison: Comparison) -> Table:
    table = _table(comparison)
    for key, values in comparison.config_differences.items():
        cells = [config_value_text(value, MAX_VALUE_LENGTH) for value in values]
        table.add_row(*map(Text, [safe_text(key, MAX_VALUE_LENGTH), *cells]))
    return table


def _classes(comparison: Comparison) -> Table:
    classes = comparison.class_accuracies
    names = list(classes)
    if len(names) > MAX_CLASSES:
        names = sorted(names, key=lambda name: -_spread(classes[name]))[:MAX_CLASSES]
    table = _table(comparison)
    is_pair = len(comparison.runs) == 2
    if is_pair:
        table.add_column("change", justify="right")
    for name in names:
        rates = classes[name]
        cells = [Text("–" if rate is None else rate_text(rate)) for rate in rates]
        change = [Text(_change(*rates))] if is_pair else []
        table.add_row(Text(safe_text(name, MAX_VALUE_LENGTH)), *cells, *change)
    return table


def _accuracies(rates: tuple[Rate | None, ...]) -> list[float]:
    return [rate.fraction for rate in rates if rate is not None and rate.fraction is not None]


def _spread(rates: tuple[Rate | None, ...]) -> float:
    accuracies = _accuracies(rates)
    return max(accuracies) - min(accuracies) if accuracies else 0.0


def _change(*rates: Rate | None) -> str:
    accuracies = _accuracies(rates)
    return f"{100 * (accuracies[1] - accuracies[0]):+.2f}" if len(accuracies) == 2 else "–"


def _verdict(first: RunResults, other: RunResults, verdict: Verdict, count: int) -> Text:
    """Return a sentence about the significance of the difference; `count` runs were tested."""
    names = safe_text(first.run.id), safe_text(other.run.id)
    text = verdict_text(*names, verdict, count)
    return Text.assemble(text.counts, (text.conclusion, "bold"), text.test)


def _calibration_error(run: RunResults) -> float | None:
    return run.metrics.calibration_error if run.metrics else None


def _percent(fraction: float) -> str:
    return percent(fraction, 2)


def _or_none(value: Value | None, to_text: Callable[[Value], str]) -> str | None:
    return None if value is None else to_text(value)
