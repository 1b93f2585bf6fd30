"""Values that runs can be filtered and sorted by: columns, series, and config keys."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias

from cnn_engine.config.renamed_keys import RENAMED_KEYS
from cnn_engine.config.suggestion import suggest
from cnn_engine.errors import ConfigError
from cnn_engine.runlog.events import LOOP_TABLE
from cnn_engine.runlog.roles import LOSS, words_of
from cnn_engine.runs.summary import RunSummary

Kind: TypeAlias = Literal[
    "number", "fraction", "seconds", "date", "text", "words", "flag", "config", "series"
]
"""Type of a column's values: a number, a fraction from 0 to 1, a duration in seconds, a time in
seconds since 1970, a string, a tuple of strings, a bool, any value of a config, or a value of a
series."""


class RunColumn(NamedTuple):
    """One value of every run."""

    key: str
    """Name in filters and after `--sort`."""

    kind: Kind
    help: str
    value: Callable[[RunSummary], Any]
    """Returns the run's value; None if it has none."""

    lower_is_better: bool = False

    @property
    def is_ascending(self) -> bool:
        """True if runs are best listed in ascending order: texts, and losses."""
        return self.kind in ("text", "words") or self.lower_is_better


RUN_COLUMNS = {
    column.key: column
    for column in (
        RunColumn(
            "acc",
            "fraction",
            "validation accuracy of the best epoch",
            lambda run: run.best_val_accuracy,
        ),
        RunColumn(
            "val",
            "number",
            "validation loss of the best epoch",
            lambda run: run.best_val_loss,
            lower_is_better=True,
        ),
        RunColumn(
            "f1",
            "fraction",
            "validation macro F1 of the best epoch",
            lambda run: run.best_val_macro_f1,
        ),
        RunColumn("test", "fraction", "test accuracy", lambda run: run.test_accuracy),
        RunColumn(
            "testloss", "number", "test loss", lambda run: run.test_loss, lower_is_better=True
        ),
        RunColumn("best", "number", "best epoch", lambda run: run.best_epoch),
        RunColumn("epochs", "number", "epochs done", lambda run: run.epochs_done),
        RunColumn("time", "seconds", "duration", lambda run: run.seconds),
        RunColumn("started", "date", "start time", lambda run: run.started or None),
        RunColumn("status", "text", "status; live: still running", lambda run: run.status),
        RunColumn(
            "queue",
            "number",
            "place in the queue",
            lambda run: run.queue_position or None,
            lower_is_better=True,
        ),
        RunColumn("run", "text", "run id", lambda run: run.run_id),
        RunColumn("name", "text", "name", lambda run: run.name),
        RunColumn("preset", "text", "preset or config file", lambda run: run.preset),
        RunColumn("group", "text", "id of the first run of its series", lambda run: run.group),
        RunColumn("tag", "words", "tags", lambda run: run.tags),
        RunColumn("note", "text", "note", lambda run: run.note),
        RunColumn("star", "flag", "starred: yes or no", lambda run: run.star),
        RunColumn("host", "text", "machine", lambda run: run.host),
        RunColumn("device", "text", "cpu, cuda or mps", lambda run: run.device),
        RunColumn("precision", "text", "fp32, bf16 or fp16", lambda run: run.precision),
        RunColumn(
            "processes", "number", "processes that train together", lambda run: run.process_count
        ),
        RunColumn("params", "number", "trainable parameters", lambda run: run.parameters or None),
        RunColumn("images", "number", "training images", lambda run: run.train_images or None),
        RunColumn("damaged", "number", "damaged lines of the log", lambda run: run.damaged_lines),
    )
}

ALIASES = {
    "id": "run",
    "config": "preset",
    "tags": "tag",
    "loss": "val",
    "model": "model.name",
    "optimizer": "optimizer.name",
    "data": "data.source",
}
"""Other names of columns and config keys."""

LAST, MINIMUM, MAXIMUM = "last:", "min:", "max:"
"""Before the name of a series: its last value, which is meant without any, or an extreme."""

FALLING = LOSS | {"err", "error", "errors", "perplexity", "mse", "mae", "rmse"}
"""Words of series of which the lower value is the better one."""

_RENAMED = RENAMED_KEYS | {old.rpartition(".")[2]: new for old, new in RENAMED_KEYS.items()}


def config_keys(runs: Iterable[RunSummary]) -> frozenset[str]:
    """Return the dotted config keys of all runs, which other versions may have written."""
    distinct = {run.config_json: run for run in runs}
    return frozenset(
        f"{table}.{key}"
        for run in distinct.values()
        for table, values in run.config.items()
        for key in values
    )


def series_names(runs: Iterable[RunSummary]) -> list[str]:
    """Return the names of the series of all runs, sorted."""
    return sorted({name for run in runs for name in run.series})


def find_column(name: str, runs: Sequence[RunSummary]) -> RunColumn:
    """Return the column with this name, of a series, or of a config key.

    Args:
        name: A key of `RUN_COLUMNS` or `ALIASES`, the name of a series, which `last:`, `min:` or
            `max:` may precede, a dotted config key, or its last part.
        runs: Runs whose series and config keys are searched, before the keys of this version.

    Raises:
        ConfigError: no column has this name, or more than one config key ends with it.
    """
    name = ALIASES.get(name) or _RENAMED.get(name) or name
    if name in RUN_COLUMNS:
        return RUN_COLUMNS[name]
    keys = config_keys(runs)
    found = (
        _find_config_column(name, keys)
        or _find_series_column(name, runs)
        or _find_config_column(name, _current_config_keys())
    )
    if found is None:
        series, dotted = series_names(runs), sorted(keys | _current_config_keys())
        extremes = [f"{prefix}{key}" for prefix in (LAST, MINIMUM, MAXIMUM) for key in series]
        leaves = [key.rpartition(".")[2] for key in dotted]
        hint = (
            suggest(name, [*RUN_COLUMNS, *ALIASES, *series, *extremes, *dotted, *leaves])
            or f"; use {', '.join(RUN_COLUMNS)}, the name of a series, or a config key"
        )
        raise ConfigError(f"unknown column {name!r}{hint}")
    return found


def _find_config_column(name: str, keys: frozenset[str]) -> RunColumn | None:
    if name in keys:
        return config_column(name)
    matches = sorted(key for key in keys if key.endswith(f".{name}"))
    own = [key for key in matches if key != f"{LOOP_TABLE}.{name}"]
    if len(own) > 1:
        raise ConfigError(f"{name!r} is ambiguous: write {' or '.join(own)}")
    if own and len(matches) > 1:  # a run has one of both
        return _either_column(name, *map(config_column, (own[0], f"{LOOP_TABLE}.{name}")))
    return config_column(matches[0]) if matches else None


def _either_column(name: str, first: RunColumn, second: RunColumn) -> RunColumn:
    """Return the column with the value of the first of two that is not None."""

    def value(run: RunSummary) -> Any:  # noqa: ANN401 - any value of a config
        known = first.value(run)
        return second.value(run) if known is None else known

    return RunColumn(name, "config", "config key", value)


def _find_series_column(name: str, runs: Iterable[RunSummary]) -> RunColumn | None:
    """Return the column of a series; None if no run has it."""
    prefix = next((prefix for prefix in (LAST, MINIMUM, MAXIMUM) if name.startswith(prefix)), "")
    for key, found in ((name, LAST), (name.removeprefix(prefix), prefix)):
        if found and any(key in run.series for run in runs):
            return series_column(key, name, found)
    return None


def series_column(series: str, key: str, prefix: str) -> RunColumn:
    """Return the column of a series; the prefix selects its last value, minimum or maximum."""
    index = (LAST, MINIMUM, MAXIMUM).index(prefix)

    def value(run: RunSummary) -> float | None:
        return run.series[series][index] if series in run.series else None

    is_falling = not FALLING.isdisjoint(words_of(series)) and prefix != MAXIMUM
    help_text = ("last value", "lowest value", "highest value")[index]
    lower_is_better = is_falling or prefix == MINIMUM
    return RunColumn(key, "series", help_text, value, lower_is_better=lower_is_better)


@cache
def _current_config_keys() -> frozenset[str]:
    """Return this version's config keys. Called late because it imports pydantic."""
    from cnn_engine.config.presets import list_keys  # noqa: PLC0415 - imports pydantic

    return frozenset(list_keys())


@cache
def config_column(key: str) -> RunColumn:
    """Return the column of a dotted config key."""
    table, _, name = key.partition(".")

    def value(run: RunSummary) -> Any:  # noqa: ANN401 - any value of a config
        return run.config.get(table, {}).get(name)

    return RunColumn(key, "config", "config key", value)
