"""Options that several commands share, and functions that read them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cnn_engine.runs.directory import RunDirectory, default_runs_dir, find_run
from cnn_tui.cli.completion import complete_run, complete_setting
from cnn_tui.settings import OnHangup, ThemeName

RunsDir = Annotated[
    Path | None,
    typer.Option(help="Where runs are kept. Default: ./runs, or the user's data directory."),
]
RunReference = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's id, the start of one, or 'latest'.",
        autocompletion=complete_run,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Import the run's own network, module:Class, from the current directory.",
    ),
]

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one key of the config.",
        autocompletion=complete_setting,
    ),
]
DataDir = Annotated[
    Path | None, typer.Option(help="Where the images are. Same as --set data.path=DIR.")
]


def resolve_run(reference: str, runs_dir: Path | None) -> RunDirectory:
    """The run that is meant.

    Raises:
        ConfigError: there is none, or more than one.
    """
    return find_run(runs_dir or default_runs_dir(), reference)


def as_overrides(given: Mapping[str, Path | str | float | None]) -> list[str]:
    """What options that stand for keys of a config come to, as `--set` takes them."""
    return [
        f"{key}={json.dumps(value, default=str)}"
        for key, value in given.items()
        if value is not None
    ]


BUDGET = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def parse_time(text: str) -> float:
    """Seconds of `1h30m`, `10m`, `90s` or `90`.

    Raises:
        BadParameter: it is no time, or none at all.
    """
    match = BUDGET.fullmatch(text.strip())
    parts = [int(part or 0) for part in match.groups()] if match else []
    if not any(parts):
        raise typer.BadParameter(f"{text!r} is no time; write it as 1h30m, 10m or 90s")
    hours, minutes, seconds = parts
    return float(3600 * hours + 60 * minutes + seconds)


Theme = Annotated[ThemeName, typer.Option(help="Colours of the dashboard.", envvar="CNN_TUI_THEME")]
Ascii = Annotated[
    bool, typer.Option("--ascii", help="Draw with ASCII only, whatever the locale says.")
]
NoMouse = Annotated[bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")]
Bell = Annotated[bool, typer.Option("--bell", help="Ring the terminal's bell at an alarm.")]


OnHangupOption = Annotated[
    OnHangup,
    typer.Option(
        "--on-hangup", help="When the terminal is lost: train on, or stop with a checkpoint."
    ),
]
