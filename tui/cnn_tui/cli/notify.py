"""Options for messages about the end of a run, and the receivers that they name."""

from dataclasses import replace
from typing import Annotated

import typer

from cnn_engine.errors import StorageError
from cnn_engine.notifications.targets import EVENT_NAMES, Targets, parse_events, read_targets
from cnn_engine.notifications.urls import COMMAND_OPTION, OFF, URL_OPTION, check_url
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.settings.notify import settings_targets
from cnn_tui.terminal.tty import notify

EVENTS_OPTION = "--notify-on"

Notify = Annotated[
    list[str] | None,
    typer.Option(
        URL_OPTION,
        metavar="URL",
        help="Send a message when the run ends: to ntfy://HOST/TOPIC, to a webhook of Slack or "
        f"Discord, or as JSON to another URL. Can be repeated; {OFF}: to none.",
    ),
]
NotifyOn = Annotated[
    str | None,
    typer.Option(
        EVENTS_OPTION,
        metavar="EVENT,…",
        help=f"Events to send messages of: {', '.join(EVENT_NAMES)}. Default: all.",
    ),
]
OnEnd = Annotated[
    str | None,
    typer.Option(
        COMMAND_OPTION,
        metavar="COMMAND",
        help="Run a shell command when the run ends; variables such as $CNN_TUI_STATUS and "
        "$CNN_TUI_TEXT describe the run.",
    ),
]


def chosen_targets(
    urls: list[str] | None,
    events: str | None,
    on_end: str | None,
    resumed: RunDirectory | None = None,
) -> Targets:
    """Return the receivers of a run's messages: of the options, else its own, else the settings.

    Args:
        urls: Values of `--notify`; None if it is not given.
        events: Value of `--notify-on`.
        on_end: Value of `--on-end`.
        resumed: The run if it is resumed.

    Raises:
        ConfigError: a URL or an event is invalid.
    """
    chosen = _own_targets(resumed) if resumed else None
    if not chosen:
        chosen, problems = settings_targets()
        if urls is None:
            for problem in problems:
                notify(problem)
    if urls is not None:
        checked = (check_url(url) for url in urls if url != OFF)
        chosen = replace(chosen, urls=tuple(dict.fromkeys(checked)))
    if events is not None:
        chosen = replace(chosen, events=parse_events(events, EVENTS_OPTION))
    if on_end is not None:
        chosen = replace(chosen, on_end=on_end.strip())
    return chosen


def _own_targets(run: RunDirectory) -> Targets | None:
    """Return the receivers that a run has; report why they cannot be used, if they cannot."""
    try:
        return read_targets(run)
    except StorageError as error:
        notify(str(error))
        return None
