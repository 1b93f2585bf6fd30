"""Shell completion of runs, presets and config keys."""

import re
from collections.abc import Iterable
from pathlib import Path

import typer

from cnn_engine.config.paths import expand_home
from cnn_engine.errors import StorageError
from cnn_engine.runs.directory import default_runs_dir, iter_runs
from cnn_engine.storage.user_directories import NOWHERE

PLAIN_KEY = re.compile(r"[\w./:@%+-]*")
"""Key that neither the shell nor a filter needs in quotes."""


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of the runs."""
    return _matching(incomplete, [*_ids(_runs_dir(context)), "latest"])


def complete_trash(context: typer.Context, incomplete: str) -> list[str]:
    """Return the ids of the deleted runs."""
    from cnn_engine.runs.trash import trash_directories

    directories = trash_directories(_runs_dir(context))
    return _matching(incomplete, [id_ for trash in directories for id_ in _ids(trash)])


def complete_preset(incomplete: str) -> list[str]:
    """Return the names of the presets."""
    from cnn_engine.config.preset_files import list_presets

    return _matching(incomplete, list_presets())


def complete_config(incomplete: str) -> list[str]:
    """Return the names of the presets and paths of TOML files."""
    found = Path(incomplete)
    directory = found if incomplete.endswith("/") else found.parent
    try:
        paths = [path for path in directory.iterdir() if path.is_dir() or path.suffix == ".toml"]
    except OSError:
        paths = []
    files = [f"{path}/" if path.is_dir() else str(path) for path in paths]
    return [*complete_preset(incomplete), *_matching(incomplete, files)]


def complete_setting(incomplete: str) -> list[str]:
    """Return the keys of a config for `--set`."""
    from cnn_engine.config.presets import list_keys

    return _matching(incomplete, (f"{key}=" for key in list_keys()))


def complete_sort_key(context: typer.Context, incomplete: str) -> list[str]:
    """Return the columns, series and config keys to sort runs by; after a `-`, descending."""
    from cnn_engine.config.presets import list_keys
    from cnn_engine.runs.columns import MAXIMUM, MINIMUM, RUN_COLUMNS, series_names
    from cnn_engine.runs.run_list import RunList

    found = RunList(_runs_dir(context))
    found.refresh()
    series = series_names(found.runs)
    extremes = [f"{prefix}{name}" for prefix in (MINIMUM, MAXIMUM) for name in series]
    sign = "-" if incomplete.startswith("-") else ""
    keys = (*RUN_COLUMNS, *series, *extremes, *list_keys())
    typed = incomplete.replace('"', "")
    matching = _matching(typed, (f"{sign}{key}" for key in keys))
    return [sign + _quoted(key.removeprefix(sign)) for key in matching]


def _quoted(key: str) -> str:
    """Return a key; one with parentheses or spaces, for the shell and a filter, in quotes."""
    return key if PLAIN_KEY.fullmatch(key) else f'"{key}"'


def _matching(incomplete: str, words: Iterable[str]) -> list[str]:
    """Return the matching words, sorted; unprintable ones could harm the shell and are dropped."""
    return sorted(word for word in words if word.startswith(incomplete) and word.isprintable())


def _ids(runs_dir: Path) -> list[str]:
    return [run.id for run in iter_runs(runs_dir)]


def _runs_dir(context: typer.Context) -> Path:
    """Return the directory given by `--runs-dir` so far, or the default."""
    given = context.params.get("runs_dir")
    try:
        return Path(expand_home(str(given))) if given else default_runs_dir()
    except StorageError:
        return NOWHERE
