"""What runs can be filtered and sorted by: figures by short names, and any key of a config."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias

from cnn_engine.errors import ConfigError
from cnn_engine.runs.summary import RunSummary

Kind: TypeAlias = Literal["number", "share", "seconds", "date", "text", "words", "flag", "config"]
"""How a figure is written: a plain number, a share of 0 to 1, a duration, a moment, a text, a set
of words, yes or no, or whatever a key of a config holds."""


class Figure(NamedTuple):
    """Something that is known of a run."""

    key: str
    """The name that it goes by."""

    kind: Kind
    help: str
    of: Callable[[RunSummary], Any]
    """Its value; None where a run has none."""


FIGURES = {
    figure.key: figure
    for figure in (
        Figure("acc", "share", "best validation accuracy", lambda run: run.best_val_accuracy),
        Figure("val", "number", "best validation loss", lambda run: run.best_val_loss),
        Figure("test", "share", "test accuracy", lambda run: run.test_accuracy),
        Figure("testloss", "number", "test loss", lambda run: run.test_loss),
        Figure("best", "number", "best epoch", lambda run: run.best_epoch),
        Figure("epochs", "number", "epochs done", lambda run: run.epochs_done),
        Figure("time", "seconds", "time it took", lambda run: run.seconds),
        Figure("started", "date", "when it was started", lambda run: run.started or None),
        Figure("status", "text", "how it goes; live: it goes on", lambda run: run.status),
        Figure("run", "text", "its id", lambda run: run.run_id),
        Figure("name", "text", "what its user calls it", lambda run: run.name),
        Figure("preset", "text", "preset or config file", lambda run: run.preset),
        Figure("tag", "words", "a tag of its user", lambda run: run.tags),
        Figure("note", "text", "a note of its user", lambda run: run.note),
        Figure("star", "flag", "whether it is starred", lambda run: run.star),
        Figure("host", "text", "machine", lambda run: run.host),
        Figure("device", "text", "cpu, cuda or mps", lambda run: run.device),
        Figure("precision", "text", "fp32, bf16 or fp16", lambda run: run.precision),
        Figure("params", "number", "trainable parameters", lambda run: run.parameters or None),
        Figure("images", "number", "images trained on", lambda run: run.train_images or None),
        Figure("damaged", "number", "damaged lines of the log", lambda run: run.damaged_lines),
    )
}

SHORT = {
    "id": "run",
    "config": "preset",
    "tags": "tag",
    "loss": "val",
    "model": "model.name",
    "optimizer": "optimizer.name",
    "data": "data.source",
}
"""Other names that people will try."""


def config_keys(runs: Iterable[RunSummary]) -> frozenset[str]:
    """Dotted keys of all the runs' configs; other versions may have had others than this one."""
    distinct = {run.config_json: run for run in runs}
    return frozenset(
        f"{table}.{key}"
        for run in distinct.values()
        for table, values in run.config.items()
        for key in values
    )


def find_figure(key: str, runs: Iterable[RunSummary]) -> Figure:
    """The figure of this name: a short one, a dotted key of a config, or that's last part.

    Args:
        key: The name.
        runs: Whose configs it may ask about.

    Raises:
        ConfigError: there is none, or more than one; with what may have been meant.
    """
    key = SHORT.get(key, key)
    if key in FIGURES:
        return FIGURES[key]
    of_runs = config_keys(runs)
    found = _find_among(key, of_runs) or _find_among(key, _own_config_keys())
    if found is None:
        raise ConfigError(_unknown(key, of_runs | _own_config_keys()))
    return found


def _find_among(key: str, of_configs: frozenset[str]) -> Figure | None:
    if key in of_configs:
        return config_figure(key)
    dotted = sorted(known for known in of_configs if known.endswith(f".{key}"))
    if len(dotted) > 1:
        raise ConfigError(f"{key!r} may be {' or '.join(dotted)}: write it whole")
    return config_figure(dotted[0]) if dotted else None


def _unknown(key: str, of_configs: frozenset[str]) -> str:
    leaves = [known.rpartition(".")[2] for known in of_configs]
    close = get_close_matches(key, [*FIGURES, *SHORT, *of_configs, *leaves], n=1)
    if close:
        return f"nothing is called {key!r}; did you mean {close[0]!r}?"
    return f"nothing is called {key!r}; there are {', '.join(FIGURES)}, and any key of a config"


@cache
def _own_config_keys() -> frozenset[str]:
    """Keys of this version's configs. Asked only about a key that no run has: it takes pydantic."""
    from cnn_engine.config.presets import keys  # noqa: PLC0415 - see above

    return frozenset(keys())


@cache
def config_figure(key: str) -> Figure:
    """A key of a config as a figure."""
    table, _, name = key.partition(".")

    def value(run: RunSummary) -> Any:  # noqa: ANN401 - whatever a config holds
        return run.config.get(table, {}).get(name)

    return Figure(key, "config", "a key of the config", value)
