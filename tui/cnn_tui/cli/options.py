"""Options that several commands share, and functions that read them."""

import functools
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from msgspec.structs import replace

from cnn_engine.checkpoints.format import BEST_FILE
from cnn_engine.config.paths import expand_home
from cnn_engine.errors import ConfigError
from cnn_engine.runs.directory import (
    RunDirectory,
    check_runs_dir,
    default_runs_dir,
    is_run,
    list_runs,
)
from cnn_engine.runs.lookup import LATEST, find_run
from cnn_engine.runs.summary import LIVE, read_summary
from cnn_engine.system.end_time import set_time_limit
from cnn_tui.cli.completion import complete_run, complete_setting
from cnn_tui.settings import OnHangup, Options, ThemeName, load_settings
from cnn_tui.text.safe import safe_text


def _check_runs_dir(context: typer.Context, path: Path | None) -> Path | None:
    if path is not None and not context.resilient_parsing:
        check_runs_dir(Path(expand_home(str(path))))
    return path


RUNS_DIR_HELP = "Directory of the runs. Default: ./runs, or the user's data directory."
RunsDir = Annotated[
    Path | None, typer.Option(metavar="DIR", callback=_check_runs_dir, help=RUNS_DIR_HELP)
]
RUN_HELP = "Run id, name, unique part of them, or 'latest'."
RunReference = Annotated[
    str, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=complete_run)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Allow importing the run's own network (module:Class) from the current directory.",
    ),
]

Queued = Annotated[
    bool,
    typer.Option("--queue", help="Train in the background once no other run uses the device."),
]

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one config key. Can be repeated.",
        autocompletion=complete_setting,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Directory of the images. Same as --set data.path=DIR."),
]
BatchSize = Annotated[
    int | None, typer.Option(metavar="N", help="Same as --set train.batch_size=N.")
]

Theme = Annotated[ThemeName | None, typer.Option(help="Colour theme. Default: dark.")]
Ascii = Annotated[
    bool | None,
    typer.Option("--ascii/--no-ascii", help="Use only ASCII characters, whatever the locale."),
]
Mouse = Annotated[
    bool | None, typer.Option("--mouse/--no-mouse", help="Enable or disable mouse support.")
]
Bell = Annotated[
    bool | None, typer.Option("--bell/--no-bell", help="Ring the terminal bell on an alert.")
]

OnHangupOption = Annotated[
    OnHangup | None,
    typer.Option(
        "--on-hangup",
        help="If the terminal is lost: keep training, or stop and save a checkpoint. "
        "Default: train.",
    ),
]

DISPLAY_OPTIONS = {"theme": Theme, "ascii": Ascii, "mouse": Mouse, "bell": Bell}
"""Annotation of each command line option that is a field of `Options`; None for the setting."""


def display_options(*, bell: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that replaces a command's parameter `options` by command line options.

    Args:
        bell: Include `--bell`.
    """
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in DISPLAY_OPTIONS.items()
        if bell or name != "bell"
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in signature.parameters.values()
            if parameter.name != "options"
        ]

        @functools.wraps(command)
        def with_options(**given: object) -> None:
            display = {name: given.pop(name) for name in DISPLAY_OPTIONS if name in given}
            command(**given, options=chosen_options(display))

        parameters = [*own, *shared]
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {item.name: item.annotation for item in parameters}
        return with_options

    return decorate


def chosen_options(given: Mapping[str, object]) -> Options:
    """Return the options of a dashboard: those of the command line, else those of the settings.

    Args:
        given: Options of the command line by their names in `Options`; None if not given.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    return replace(load_settings().values.display, **chosen)


class Need(NamedTuple):
    """Requirement of a command on a run."""

    description: str
    is_met: Callable[[RunDirectory], bool]


A_MODEL = Need("with a model", lambda run: (run.path / BEST_FILE).is_file())
RUNNING = Need("that is running", lambda run: read_summary(run).status in LIVE)


def resolve_run(reference: str, runs_dir: Path | None, need: Need | None = None) -> RunDirectory:
    """Return the run that a reference or the path of a run directory names.

    Args:
        reference: Id, name or part of them, `latest`, or a path such as `runs/1124-0412-amber`;
            an id goes before a path without a slash. `run:` before it is ignored; it tells the
            first run of a series from the series.
        runs_dir: Directory of the runs; None for the default.
        need: `latest` is the latest run that meets it; a message on stderr names a newer run that
            does not.

    Raises:
        ConfigError: no run matches, or more than one.
    """
    reference = reference.removeprefix("run:")
    path = Path(os.path.abspath(expand_home(reference)))  # noqa: PTH100 - resolves `..`, but follows no link
    if os.sep in reference and is_run(path):
        return RunDirectory(path)
    directory = runs_dir or default_runs_dir()
    if reference not in ("", LATEST) and is_run(path) and not is_run(directory / reference):
        return RunDirectory(path)
    if reference == LATEST and need is not None:
        runs = list_runs(directory)
        for run in filter(need.is_met, runs):
            if run != runs[0]:
                text = f"Using {run.id}, the latest run {need.description}, not {runs[0].id}"
                print(safe_text(text, 1000), file=sys.stderr)
            return run
    return find_run(directory, reference)


def as_overrides(options: Mapping[str, Path | str | float | None]) -> list[str]:
    """Return `KEY=VALUE`, as `--set` accepts it, for each config key whose option is given."""
    return [
        f"{key}={json.dumps(value, default=str)}"
        for key, value in options.items()
        if value is not None
    ]


TIME = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s?)?")


def _set_time_limit(context: typer.Context, text: str | None) -> None:
    if text is not None and not context.resilient_parsing:
        set_time_limit(parse_time(text, "--time-limit"))


TimeLimit = Annotated[
    None,
    typer.Option(
        "--time-limit",
        metavar="TIME",
        parser=str,
        callback=_set_time_limit,
        help="Save a checkpoint and end with exit code 124 within TIME, such as 55m. Default: in "
        "time for the end of the Slurm job.",
    ),
]


ResumeOrStart = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Resume the unfinished run of this name, or start it; if it is done, print its "
        "results. For jobs that are requeued.",
    ),
]


def parse_time(text: str, option: str = "--budget") -> float:
    """Return the seconds of a `--budget`: `1h30m`, `10m`, `90s` or `90`.

    Raises:
        ConfigError: it is not a time, or zero.
    """
    match = TIME.fullmatch(text.strip())
    parts = [int(part or 0) for part in match.groups()] if match else []
    if not any(parts):
        raise ConfigError(f"{option}: {text!r} is not a time; write 1h30m, 10m or 90s")
    hours, minutes, seconds = parts
    return float(3600 * hours + 60 * minutes + seconds)
