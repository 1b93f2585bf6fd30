"""The report of a series of runs: means and standard deviations, as a table or as JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table
from rich.text import Text

from cnn_engine.errors import UserError
from cnn_engine.results.metrics import Rate
from cnn_engine.results.metrics_json import rate_as_dict
from cnn_engine.results.out_of_fold import accuracy_of, out_of_fold_predictions
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.groups import RunGroup, Setting, Spread, setting_as_dict
from cnn_engine.runs.hints import command_in
from cnn_engine.runs.summary import RunSummary
from cnn_tui.headless.series import train_series
from cnn_tui.reports.console import results_console
from cnn_tui.text.json import to_json
from cnn_tui.text.metrics import out_of_images_text
from cnn_tui.text.numbers import duration, percent
from cnn_tui.text.safe import escaped, safe_text
from cnn_tui.text.spreads import spread_text

if TYPE_CHECKING:
    from cnn_engine.session.series import Series

MAX_RUNS = 50
"""Runs listed by `show`; the others are counted."""


class OutOfFold(NamedTuple):
    """Accuracy over the images of all folds, each predicted by the run not trained on it."""

    rate: Rate | None
    """None if it is unknown."""

    reason: str
    """Reason that it is unknown; empty if it is known."""


def out_of_fold(setting: Setting, runs_dir: Path) -> OutOfFold:
    """Return the accuracy over all folds of a setting."""
    done = [run for run in setting.runs if run.status == "done"]
    try:
        predictions = out_of_fold_predictions([RunDirectory(runs_dir / run.run_id) for run in done])
    except (OSError, UserError) as error:
        return OutOfFold(None, str(error))
    return OutOfFold(accuracy_of(predictions), "")


def as_dict(group: RunGroup, runs_dir: Path) -> dict[str, Any]:
    """Return a series as JSON values."""
    settings = [
        setting_as_dict(setting)
        | (_out_of_fold_as_dict(setting, runs_dir) if group.has_folds else {})
        for setting in group.settings
    ]
    runs = [
        run.as_dict()
        | {"setting": setting.text, "seed": _config(run, "train", "seed")}
        | ({"fold": _config(run, "data", "fold")} if group.has_folds else {})
        for setting in group.settings
        for run in setting.runs
    ]
    return {**group.as_dict(), "runs": runs, "settings": settings}


def _config(run: RunSummary, table: str, key: str) -> Any:  # noqa: ANN401 - any config value
    return run.config.get(table, {}).get(key)


def _out_of_fold_as_dict(setting: Setting, runs_dir: Path) -> dict[str, Any]:
    rate = out_of_fold(setting, runs_dir).rate
    return {"out_of_fold_accuracy": None if rate is None else rate_as_dict(rate)}


def print_series(group: RunGroup, runs_dir: Path) -> None:
    """Print the mean and standard deviation of each metric, one line per setting.

    With folds the accuracy over the images of all folds follows.
    """
    table = Table(box=None, pad_edge=False)
    has_settings = any(setting.text for setting in group.settings)
    has_tta = any(setting.spread("tta_accuracy") for setting in group.settings)
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
    for setting in group.settings:
        spreads = setting.spreads()
        cells = [
            *([safe_text(setting.text, 200)] if has_settings else []),
            str(len(setting.runs)),
            _accuracy_text(spreads["best_val_accuracy"]),
            _accuracy_text(spreads["test_accuracy"]),
            *([_accuracy_text(spreads["tta_accuracy"])] if has_tta else []),
            duration(spreads["seconds"].mean) if spreads["seconds"] else "–",
        ]
        table.add_row(*map(Text, cells))
    console = results_console()
    console.print(table)
    if group.has_folds:
        for setting in group.settings:
            text = _out_of_fold_text(setting, runs_dir)
            console.print(Text(text), soft_wrap=True)


def _out_of_fold_text(setting: Setting, runs_dir: Path) -> str:
    """Return `Out of fold: 93.12% of 1,440 images, 95% interval 91.7–94.3%`, or what is missing."""
    prefix = f"{safe_text(setting.text, 200)}: out of fold" if setting.text else "Out of fold"
    rate, reason = out_of_fold(setting, runs_dir)
    if rate is None:
        return f"{prefix}: unknown, as {safe_text(reason, 1000)}"
    return f"{prefix}: {out_of_images_text(rate)}"


def _accuracy_text(spread: Spread | None) -> str:
    return "–" if spread is None else f"{spread_text(spread, 2)} %"


def show_series(group: RunGroup, runs_dir: Path) -> None:
    """Print a series: its status, the table of its settings, its runs, and what to do next."""
    console = results_console()
    name = f"{safe_text(group.name, 80)} · " if group.name else ""
    heading = f"{safe_text(group.runs[0].preset, 80)} · {name}series {safe_text(group.id, 80)}"
    console.print(Text(heading, "bold"))
    console.print(Text(f"{group.status}: {group.done} of {group.planned} runs done; {group.swept}"))
    console.print()
    print_series(group, runs_dir)
    console.print()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("run", "name", "status"):
        table.add_column(heading)
    for heading in ("epochs", "validation", "test", "time"):
        table.add_column(heading, justify="right")
    for run in group.runs[:MAX_RUNS]:
        cells = [
            safe_text(run.run_id),
            safe_text(run.name, 60),
            run.status,
            f"{run.epochs_done}/{run.epochs}",
            _known_percent(run.best_val_accuracy),
            _known_percent(run.test_accuracy),
            duration(run.seconds),
        ]
        table.add_row(*map(Text, cells))
    console.print(table)
    if (more := len(group.runs) - MAX_RUNS) > 0:
        console.print(Text(f"… and {more:,} more runs", "dim"))
    verb = {"running": "watch", "incomplete": "resume"}.get(group.status, "compare")
    if verb == "compare" and len(group.settings) < 2:
        return  # a setting alone has nothing to be compared with
    command = escaped(command_in(runs_dir, verb, f"group:{group.id}"), 4000)
    console.print(Text(f"\n{verb.capitalize()}: {command}"), soft_wrap=True)


def _known_percent(fraction: float | None) -> str:
    return "–" if fraction is None else percent(fraction, 2)


def run_series(series: "Series", *, as_json: bool) -> int:
    """Train a series, print the report and return the exit code."""
    exit_code = train_series(series)
    runs = [member.summary for member in series.members if member.summary is not None]
    if not runs:
        return exit_code
    group, runs_dir = RunGroup(series.id, tuple(runs)), series.first.path.parent
    if as_json:
        print(to_json(as_dict(group, runs_dir)))
    else:
        print_series(group, runs_dir)
    return exit_code
