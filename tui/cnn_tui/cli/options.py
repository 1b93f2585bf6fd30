"""Options that several commands share, and functions that read them."""

import functools
import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from cnn_engine.runs.directory import RunDirectory, default_runs_dir, find_run
from cnn_tui.cli.completion import complete_run, complete_setting
from cnn_tui.settings import OnHangup, Options, ThemeName

RunsDir = Annotated[
    Path | None,
    typer.Option(help="Directory of the runs. Default: ./runs, or the user's data directory."),
]
RUN_HELP = "Run id, unique id prefix, or 'latest'."
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
    Path | None, typer.Option(help="Directory of the images. Same as --set data.path=DIR.")
]

Theme = Annotated[ThemeName, typer.Option(help="Colour theme.", envvar="CNN_TUI_THEME")]
Ascii = Annotated[
    bool, typer.Option("--ascii", help="Use only ASCII characters, whatever the locale.")
]
NoMouse = Annotated[bool, typer.Option("--no-mouse", help="Disable mouse support.")]
Bell = Annotated[bool, typer.Option("--bell", help="Ring the terminal bell on an alert.")]

OnHangupOption = Annotated[
    OnHangup,
    typer.Option(
        "--on-hangup",
        help="If the terminal is lost: keep training, or stop and save a checkpoint.",
    ),
]

DISPLAY_OPTIONS = {
    "theme": (Theme, ThemeName.DARK),
    "ascii_only": (Ascii, False),
    "no_mouse": (NoMouse, False),
    "bell": (Bell, False),
}
"""Annotation and default of each command line option that becomes a field of `Options`."""


def display_options(*, bell: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that replaces a command's parameter `options` by command line options.

    Args:
        bell: Include `--bell`.
    """
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in DISPLAY_OPTIONS.items()
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
        def with_options(
            *,
            theme: ThemeName,
            ascii_only: bool,
            no_mouse: bool,
            bell: bool = False,
            **rest: object,
        ) -> None:
            command(**rest, options=Options(theme, ascii_only, not no_mouse, bell))

        parameters = [*own, *shared]
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {item.name: item.annotation for item in parameters}
        return with_options

    return decorate


def resolve_run(reference: str, runs_dir: Path | None) -> RunDirectory:
    """Return the run with this id or prefix of an id, or the `latest` run.

    Raises:
        ConfigError: no run matches, or more than one.
    """
    return find_run(runs_dir or default_runs_dir(), reference)


def as_overrides(options: Mapping[str, Path | str | float | None]) -> list[str]:
    """Return `KEY=VALUE`, as `--set` accepts it, for each config key whose option is given."""
    return [
        f"{key}={json.dumps(value, default=str)}"
        for key, value in options.items()
        if value is not None
    ]


TIME = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def parse_time(text: str) -> float:
    """Return the seconds of `1h30m`, `10m`, `90s` or `90`.

    Raises:
        BadParameter: it is not a time, or zero.
    """
    match = TIME.fullmatch(text.strip())
    parts = [int(part or 0) for part in match.groups()] if match else []
    if not any(parts):
        raise typer.BadParameter(f"{text!r} is not a time; write 1h30m, 10m or 90s")
    hours, minutes, seconds = parts
    return float(3600 * hours + 60 * minutes + seconds)
