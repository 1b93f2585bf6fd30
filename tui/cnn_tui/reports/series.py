"""What came of several runs: means and standard deviations, as a table or as plain values."""

from collections.abc import Iterator, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from cnn_tui.headless.series import Series
from cnn_tui.reports.console import results_console
from cnn_tui.text.json import to_json
from cnn_tui.text.numbers import duration
from cnn_tui.text.safe import safe_text

FIGURES = ("best_val_accuracy", "test_accuracy", "tta_accuracy", "seconds")
"""Of a run's summary, what means are taken of."""


class Spread(NamedTuple):
    """A figure over several runs."""

    mean: float
    deviation: float | None
    """Sample standard deviation; None of a single run."""
    runs: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Spread | None":
        """The spread of what there is; None of nothing."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(mean(known), stdev(known) if len(known) > 1 else None, len(known))


def spreads(series: Series) -> Iterator[tuple[str, int, dict[str, Spread | None]]]:
    """Each setting, how many runs of it there are, and the spread of each of their figures."""
    for setting in dict.fromkeys(planned.setting for planned, _ in series.done):
        these = [summary for planned, summary in series.done if planned.setting == setting]
        yield (
            setting,
            len(these),
            {name: Spread.of([getattr(each, name) for each in these]) for name in FIGURES},
        )


def as_dict(series: Series) -> dict[str, Any]:
    """The series as plain values."""
    return {
        "runs": [
            {"setting": planned.setting, "seed": planned.seed} | summary.as_dict()
            for planned, summary in series.done
        ],
        "settings": [
            {"setting": setting, "runs": count}
            | {name: spread and spread._asdict() for name, spread in found.items()}
            for setting, count, found in spreads(series)
        ],
    }


def print_series(series: Series) -> None:
    """The mean and the standard deviation of each figure, a line a setting."""
    table = Table(box=None, pad_edge=False)
    found = list(spreads(series))
    has_settings = any(setting for setting, _, _ in found)
    has_augmented = any(figures["tta_accuracy"] for _, _, figures in found)
    headings = [
        *(["setting"] if has_settings else []),
        "runs",
        "validation",
        "test",
        *(["test, augmented"] if has_augmented else []),
        "time",
    ]
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "setting" else "right")
    for setting, count, figures in found:
        cells = [
            *([safe_text(setting, 200)] if has_settings else []),
            str(count),
            _spread_text(figures["best_val_accuracy"]),
            _spread_text(figures["test_accuracy"]),
            *([_spread_text(figures["tta_accuracy"])] if has_augmented else []),
            duration(figures["seconds"].mean) if figures["seconds"] else "–",
        ]
        table.add_row(*map(Text, cells))
    results_console().print(table)


def _spread_text(spread: Spread | None) -> str:
    """`94.01 ± 0.14 %`."""
    if spread is None:
        return "–"
    deviation = "" if spread.deviation is None else f" ± {100 * spread.deviation:.2f}"
    return f"{100 * spread.mean:.2f}{deviation} %"


def run_series(series: Series, *, as_json: bool) -> int:
    """Train all, and print what came of them; the exit code."""
    exit_code = series.run()
    if as_json:
        print(to_json(as_dict(series)))
    else:
        print_series(series)
    return exit_code
