"""The plan of a series: a file in the directory of its first run, so that it can be completed."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from cnn_engine.config.renamed_keys import logged_config
from cnn_engine.errors import ConfigError, DataError, StorageError
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.storage.atomic import write_atomically
from cnn_engine.storage.regular_files import open_regular

FILE_NAME = "series.json"

FORMAT = 1

MAX_BYTES = 2**28


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """One run of a series."""

    setting: str
    """The swept values, such as `optimizer.lr=0.003`; empty if only the seeds or folds differ."""

    seed: int
    fold: int | None
    """Number of the fold that is validated; None without folds."""

    name: str
    preset: str
    config: dict[str, Any]
    """Complete, validated config."""

    @property
    def label(self) -> str:
        """Part of the series: `optimizer.lr=0.003 seed 1`, or with folds `… fold 2/5`."""
        folds = self.config["data"].get("folds")
        part = f"seed {self.seed}" if self.fold is None else f"fold {self.fold}/{folds}"
        return f"{self.setting} {part}".strip()


@dataclass(frozen=True, kw_only=True)
class SeriesPlan:
    """All runs of a series, also those that are not started yet."""

    runs: tuple[PlannedRun, ...]

    name: str = ""
    """Start of the name of each run; may be empty."""

    stop_on_failure: bool = False
    """True if no run is started after one that has failed."""

    command: tuple[str, ...] = ()
    """Command line that started it, word by word, without secrets."""

    @property
    def has_folds(self) -> bool:
        """True if the runs validate the folds of a cross-validation."""
        return any(run.fold is not None for run in self.runs)


class _Run(msgspec.Struct):
    """A run as it is written: only the tables of its config that differ from those of the first."""

    setting: str
    seed: int
    fold: int | None
    name: str
    preset: str
    tables: dict[str, Any]


class _File(msgspec.Struct):
    config: dict[str, Any]
    """Config of the first run."""

    runs: list[_Run]
    name: str = ""
    stop_on_failure: bool = False
    command: tuple[str, ...] = ()
    format: int = FORMAT


def write_plan(first: RunDirectory, plan: SeriesPlan) -> None:
    """Write the plan into the directory of the first run.

    Raises:
        StorageError: it cannot be written.
    """
    base = plan.runs[0].config
    record = _File(
        config=base,
        runs=[_as_record(run, base) for run in plan.runs],
        name=plan.name,
        stop_on_failure=plan.stop_on_failure,
        command=plan.command,
    )
    path = first.path / FILE_NAME
    try:
        write_atomically(path, msgspec.json.encode(record))
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


def has_plan(run: RunDirectory) -> bool:
    """Return True if a run is the first one of a series with a plan."""
    return (run.path / FILE_NAME).is_file()


def read_plan(first: RunDirectory) -> SeriesPlan:
    """Return the plan in the directory of a first run.

    Raises:
        ConfigError: a newer version of cnn-tui wrote it.
        DataError: it is missing or damaged.
    """
    path = first.path / FILE_NAME
    try:
        with open_regular(path) as file:
            content = json.loads(file.read(MAX_BYTES))
        if isinstance(content, dict) and content.get("format", FORMAT) > FORMAT:
            raise ConfigError(f"{path}: a newer version of cnn-tui wrote it; use that version")
        record = msgspec.convert(content, _File)
    except FileNotFoundError:
        raise DataError(
            f"{path}: is missing: an early version of cnn-tui trained this series, or its first "
            "run was deleted; its runs can only be resumed one by one"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, RecursionError, msgspec.ValidationError):
        raise DataError(f"{path}: is damaged; its runs can only be resumed one by one") from None
    if not record.runs:
        raise DataError(f"{path}: is damaged: it has no runs")
    return SeriesPlan(
        runs=tuple(_from_record(run, record.config) for run in record.runs),
        name=record.name,
        stop_on_failure=record.stop_on_failure,
        command=record.command,
    )


def _as_record(run: PlannedRun, base: dict[str, Any]) -> _Run:
    tables = {table: values for table, values in run.config.items() if values != base.get(table)}
    return _Run(run.setting, run.seed, run.fold, run.name, run.preset, tables)


def _from_record(run: _Run, base: dict[str, Any]) -> PlannedRun:
    return PlannedRun(
        setting=run.setting,
        seed=run.seed,
        fold=run.fold,
        name=run.name,
        preset=run.preset,
        config=logged_config({**base, **run.tables}),
    )
