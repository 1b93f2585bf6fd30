"""What a shell offers when tab is pressed: runs, presets, keys."""

from collections.abc import Iterable
from pathlib import Path

import typer

from cnn_engine.runs.directory import default_runs_dir, iter_runs


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of the runs."""
    return _starting(incomplete, [*_ids(_runs_dir(context)), "latest"])


def complete_trash(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of the runs that were deleted."""
    from cnn_engine.runs.trash import TRASH

    return _starting(incomplete, _ids(_runs_dir(context) / TRASH))


def complete_preset(incomplete: str) -> list[str]:
    """Names of the presets."""
    from cnn_engine.config.presets import list_presets

    return _starting(incomplete, list_presets())


def complete_config(incomplete: str) -> list[str]:
    """Names of the presets, and TOML files."""
    found = Path(incomplete)
    directory = found if incomplete.endswith("/") else found.parent
    try:
        paths = [path for path in directory.iterdir() if path.is_dir() or path.suffix == ".toml"]
    except OSError:
        paths = []
    files = [f"{path}/" if path.is_dir() else str(path) for path in paths]
    return [*complete_preset(incomplete), *_starting(incomplete, files)]


def complete_setting(incomplete: str) -> list[str]:
    """Keys of a config, for `--set`."""
    from cnn_engine.config.presets import list_keys

    return _starting(incomplete, (f"{key}=" for key in list_keys()))


def complete_sort_key(incomplete: str) -> list[str]:
    """What runs are sorted by."""
    from cnn_engine.config.presets import list_keys
    from cnn_engine.runs.columns import RUN_COLUMNS

    return _starting(incomplete, (*RUN_COLUMNS, *list_keys()))


def _starting(incomplete: str, words: Iterable[str]) -> list[str]:
    """Those that start so, and that a shell can take: some names are made to harm it."""
    return sorted(word for word in words if word.startswith(incomplete) and word.isprintable())


def _ids(runs_dir: Path) -> list[str]:
    return [run.id for run in iter_runs(runs_dir)]


def _runs_dir(context: typer.Context) -> Path:
    """Where the runs are that the words so far speak of."""
    given = context.params.get("runs_dir")
    return Path(given) if given else default_runs_dir()
