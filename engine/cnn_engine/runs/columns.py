"""Values that runs can be filtered and sorted by: columns with short names, and config keys."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias

from cnn_engine.config.renamed_keys import RENAMED_KEYS
from cnn_engine.config.suggestion import suggest
from cnn_engine.errors import ConfigError
from cnn_engine.runs.summary import RunSummary

Kind: TypeAlias = Literal[
    "number", "fraction", "seconds", "date", "text", "words", "flag", "config"
]
"""Type of a column's values: a number, a fraction from 0 to 1, a duration in seconds, a time in
seconds since 1970, a string, a tuple of strings, a bool, or any value of a config."""


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
        RunColumn("acc", "fraction", "best validation accuracy", lambda run: run.best_val_accuracy),
        RunColumn(
            "val",
            "number",
            "best validation loss",
            lambda run: run.best_val_loss,
            lower_is_better=True,
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
        RunColumn("run", "text", "run id", lambda run: run.run_id),
        RunColumn("name", "text", "name", lambda run: run.name),
        RunColumn("preset", "text", "preset or config file", lambda run: run.preset),
        RunColumn("tag", "words", "tags", lambda run: run.tags),
        RunColumn("note", "text", "note", lambda run: run.note),
        RunColumn("star", "flag", "starred: yes or no", lambda run: run.star),
        RunColumn("host", "text", "machine", lambda run: run.host),
        RunColumn("device", "text", "cpu, cuda or mps", lambda run: run.device),
        RunColumn("precision", "text", "fp32, bf16 or fp16", lambda run: run.precision),
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


def find_column(name: str, runs: Iterable[RunSummary]) -> RunColumn:
    """Return the column with this name, or the column of a config key.

    Args:
        name: A key of `RUN_COLUMNS` or `ALIASES`, a dotted config key, or its last part.
        runs: Runs whose config keys are searched before those of this version.

    Raises:
        ConfigError: no column has this name, or more than one config key ends with it.
    """
    name = ALIASES.get(name) or _RENAMED.get(name) or name
    if name in RUN_COLUMNS:
        return RUN_COLUMNS[name]
    keys = config_keys(runs)
    found = _find_config_column(name, keys) or _find_config_column(name, _current_config_keys())
    if found is None:
        dotted = sorted(keys | _current_config_keys())
        leaves = [key.rpartition(".")[2] for key in dotted]
        hint = (
            suggest(name, [*RUN_COLUMNS, *ALIASES, *dotted, *leaves])
            or f"; use {', '.join(RUN_COLUMNS)}, or a config key"
        )
        raise ConfigError(f"unknown column {name!r}{hint}")
    return found


def _find_config_column(name: str, keys: frozenset[str]) -> RunColumn | None:
    if name in keys:
        return config_column(name)
    matches = sorted(key for key in keys if key.endswith(f".{name}"))
    if len(matches) > 1:
        raise ConfigError(f"{name!r} is ambiguous: write {' or '.join(matches)}")
    return config_column(matches[0]) if matches else None


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
