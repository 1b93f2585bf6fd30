"""The report of a series of runs: means and standard deviations, as a table or as JSON."""

from collections.abc import Iterator, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from cnn_engine.errors import UserError
from cnn_engine.results.metrics import Rate
from cnn_engine.results.metrics_json import rate_as_dict
from cnn_engine.results.out_of_fold import accuracy_of, out_of_fold_predictions
from cnn_tui.headless.series import Series
from cnn_tui.reports.console import results_console
from cnn_tui.text.json import to_json
from cnn_tui.text.metrics import out_of_images_text
from cnn_tui.text.numbers import duration
from cnn_tui.text.safe import safe_text

METRICS = ("best_val_accuracy", "test_accuracy", "tta_accuracy", "seconds")
"""Fields of a run's summary that are averaged."""


class Spread(NamedTuple):
    """Mean and standard deviation of a metric."""

    mean: float
    deviation: float | None
    """Sample standard deviation; None for a single run."""
    runs: int

    @classmethod
    def from_values(cls, values: Sequence[float | None]) -> "Spread | None":
        """Return the spread of the known values; None if there are none."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(mean(known), stdev(known) if len(known) > 1 else None, len(known))


def spreads(series: Series) -> Iterator[tuple[str, int, dict[str, Spread | None]]]:
    """Yield each setting, the number of its runs, and the spread of each metric over them."""
    for setting in dict.fromkeys(planned.setting for planned, _ in series.done):
        summaries = [summary for planned, summary in series.done if planned.setting == setting]
        yield (
            setting,
            len(summaries),
            {
                name: Spread.from_values([getattr(summary, name) for summary in summaries])
                for name in METRICS
            },
        )


class OutOfFold(NamedTuple):
    """Accuracy over the images of all folds, each predicted by the run not trained on it."""

    rate: Rate | None
    """None if it is unknown."""

    reason: str
    """Reason that it is unknown; empty if it is known."""


def out_of_fold(series: Series, setting: str) -> OutOfFold:
    """Return the accuracy over all folds of a setting."""
    try:
        predictions = out_of_fold_predictions(series.runs_of(setting))
    except UserError as error:
        return OutOfFold(None, str(error))
    return OutOfFold(accuracy_of(predictions), "")


def as_dict(series: Series) -> dict[str, Any]:
    """Return the series as JSON values."""
    return {
        "runs": [
            {"setting": planned.setting, "seed": planned.seed}
            | ({"fold": planned.request.config.data.fold} if series.has_folds else {})
            | summary.as_dict()
            for planned, summary in series.done
        ],
        "settings": [
            {"setting": setting, "runs": count}
            | {name: spread and spread._asdict() for name, spread in found.items()}
            | (_out_of_fold_as_dict(series, setting) if series.has_folds else {})
            for setting, count, found in spreads(series)
        ],
    }


def _out_of_fold_as_dict(series: Series, setting: str) -> dict[str, Any]:
    rate = out_of_fold(series, setting).rate
    return {"out_of_fold_accuracy": None if rate is None else rate_as_dict(rate)}


def print_series(series: Series) -> None:
    """Print the mean and standard deviation of each metric, one line per setting.

    With folds the accuracy over the images of all folds follows.
    """
    table = Table(box=None, pad_edge=False)
    found = list(spreads(series))
    has_settings = any(setting for setting, _, _ in found)
    has_tta = any(metrics["tta_accuracy"] for _, _, metrics in found)
    headings = [
        *(["setting"] if has_settings else []),
        "runs",
        "validation",
        "test",
        *(["test, TTA"] if has_tta else []),
        "time",
    ]
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "setting" else "right")
    for setting, count, metrics in found:
        cells = [
            *([safe_text(setting, 200)] if has_settings else []),
            str(count),
            _spread_text(metrics["best_val_accuracy"]),
            _spread_text(metrics["test_accuracy"]),
            *([_spread_text(metrics["tta_accuracy"])] if has_tta else []),
            duration(metrics["seconds"].mean) if metrics["seconds"] else "–",
        ]
        table.add_row(*map(Text, cells))
    console = results_console()
    console.print(table)
    if series.has_folds:
        for setting, _, _ in found:
            console.print(Text(_out_of_fold_text(series, setting)), soft_wrap=True)


def _out_of_fold_text(series: Series, setting: str) -> str:
    """Return `Out of fold: 93.12% of 1,440 images, 95% interval 91.7–94.3%`, or what is missing."""
    prefix = f"{safe_text(setting, 200)}: out of fold" if setting else "Out of fold"
    rate, reason = out_of_fold(series, setting)
    if rate is None:
        return f"{prefix}: unknown, as {safe_text(reason, 1000)}"
    return f"{prefix}: {out_of_images_text(rate)}"


def _spread_text(spread: Spread | None) -> str:
    """Return `94.01 ± 0.14 %`; a dash for None."""
    if spread is None:
        return "–"
    deviation = "" if spread.deviation is None else f" ± {100 * spread.deviation:.2f}"
    return f"{100 * spread.mean:.2f}{deviation} %"


def run_series(series: Series, *, as_json: bool) -> int:
    """Train all runs, print the report and return the exit code."""
    exit_code = series.run()
    if as_json:
        print(to_json(as_dict(series)))
    else:
        print_series(series)
    return exit_code
