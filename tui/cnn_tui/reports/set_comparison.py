"""The report of `cnn-tui compare` with series of runs."""

from collections.abc import Callable

from rich.table import Table
from rich.text import Text

from cnn_engine.results.group_comparison import SetComparison
from cnn_engine.runs.groups import Spread
from cnn_tui.reports.console import results_console
from cnn_tui.text.json import config_value_text
from cnn_tui.text.numbers import decimal, duration
from cnn_tui.text.safe import safe_text
from cnn_tui.text.set_verdicts import set_verdict_text
from cnn_tui.text.spreads import spread_text

MAX_VALUE_LENGTH = 40
MAX_CLASSES = 20


def _percent(spread: Spread) -> str:
    return f"{spread_text(spread, 2)} %"


def _loss(spread: Spread) -> str:
    deviation = "" if spread.deviation is None else f" ± {decimal(spread.deviation)}"
    return f"{decimal(spread.mean)}{deviation}"


ROWS: dict[str, tuple[str, Callable[[Spread], str]]] = {
    "validation loss": ("best_val_loss", _loss),
    "validation accuracy": ("best_val_accuracy", _percent),
    "test accuracy": ("test_accuracy", _percent),
    "test accuracy, TTA": ("tta_accuracy", _percent),
    "time": ("seconds", lambda spread: duration(spread.mean)),
}
"""Field of the summaries and text of each row."""


def print_set_comparison(comparison: SetComparison) -> None:
    """Print means with deviations, config differences, classes, and significance."""
    console = results_console()
    table = _table(comparison)
    table.add_row("runs", *(Text(str(len(each.of.runs))) for each in comparison.sets))
    for heading, (metric, to_text) in ROWS.items():
        spreads = [each.setting.spread(metric) for each in comparison.sets]
        if any(spreads):
            cells = ["–" if spread is None else to_text(spread) for spread in spreads]
            table.add_row(heading, *map(Text, cells))
    console.print(table)
    if comparison.config_differences:
        console.print("\nConfig differences", style="bold")
        settings = _table(comparison)
        for key, values in comparison.config_differences.items():
            texts = [config_value_text(value, MAX_VALUE_LENGTH) for value in values]
            settings.add_row(*map(Text, [safe_text(key, MAX_VALUE_LENGTH), *texts]))
        console.print(settings)
    if 0 < len(comparison.classes) <= MAX_CLASSES:
        console.print("\nAccuracy by class, mean ± standard deviation", style="bold")
        classes = _table(comparison)
        for name in comparison.classes:
            found = [each.class_accuracy(name) for each in comparison.sets]
            texts = ["–" if spread is None else _percent(spread) for spread in found]
            classes.add_row(*map(Text, [safe_text(name, MAX_VALUE_LENGTH), *texts]))
        console.print(classes)
    first, *others = comparison.sets
    count = sum(verdict.p_value is not None for verdict in comparison.verdicts)
    for other, verdict in zip(others, comparison.verdicts, strict=True):
        names = safe_text(first.of.name, 80), safe_text(other.of.name, 80)
        text = set_verdict_text(*names, verdict, count)
        console.print(Text(f"\n{text}"), soft_wrap=not console.is_terminal)


def _table(comparison: SetComparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", no_wrap=True)
    for each in comparison.sets:
        table.add_column(Text(safe_text(each.of.name, 80)), justify="right", overflow="fold")
    return table
