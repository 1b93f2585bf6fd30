"""Settings of other programs as a flat table of a run's config."""

import json
from pathlib import Path
from typing import Any, TypeAlias

from cnn_engine.importers.simple_yaml import parse_yaml
from cnn_engine.runlog.flat_config import flat_config

Settings: TypeAlias = dict[str, Any]
"""Texts, numbers, bools, and lists of them, by dotted key."""

FILE_NAMES = "hparams.yaml", "args.yaml"
"""Files beside a log: of PyTorch Lightning; of Ultralytics and timm."""

TABLES = frozenset("args arguments config hparams hyperparameters params settings".split())
"""Names of objects with settings in a JSON log."""

TRAINER_SETTINGS = (
    "num_train_epochs",
    "max_steps",
    "train_batch_size",
    "logging_steps",
    "eval_steps",
    "save_steps",
)
"""Settings in the state of Hugging Face's Trainer."""

MAX_ROUNDING = 0.015
"""Maximum error of an epoch's length by rounded epochs, as a fraction."""

MAX_BYTES = 1 << 20
"""Maximum size of such a file that is read."""


def settings_beside(log: Path) -> Settings:
    """Return the settings in the file beside a log, or in its directory; empty without one."""
    directory = log if log.is_dir() else log.parent
    for name in FILE_NAMES:
        try:
            with (directory / name).open("rb") as file:
                content = file.read(MAX_BYTES)
        except OSError:
            continue
        return flat_settings(parse_yaml(content.decode("utf-8-sig", "replace")))
    return {}


def settings_within(log: dict[str, Any]) -> Settings:
    """Return the settings in a JSON log; empty if it has none."""
    if "log_history" in log:
        return flat_settings({name: log.get(name) for name in TRAINER_SETTINGS})
    found: Settings = {}
    for name, value in log.items():
        if name.lower() in TABLES:
            found |= flat_settings(value)
    return found


def settings_of_json(text: str) -> Settings:
    """Return the settings in the text of a JSON object; empty if it is none."""
    try:
        return flat_settings(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def epoch_length(by_columns: float, settings: Settings) -> int:
    """Return the steps of an epoch; 0 if unknown.

    Args:
        by_columns: Steps of an epoch by rows, whose epochs may be rounded; 0 if unknown.
        settings: Settings of the program, of which Hugging Face's Trainer has exact numbers.
    """
    steps, epochs = settings.get("max_steps"), settings.get("num_train_epochs")
    if isinstance(steps, int) and isinstance(epochs, int) and epochs > 0:
        planned = steps / epochs
        if abs(planned - by_columns) <= MAX_ROUNDING * by_columns:
            return round(planned)
    return round(by_columns)


def flat_settings(value: object) -> Settings:
    """Return the values in nested objects by dotted key, without those that are None."""
    found = flat_config(value) if isinstance(value, dict) else {}
    return {name: inner for name, inner in found.items() if inner is not None}
