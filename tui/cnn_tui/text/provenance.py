"""Provenance of a run: its command line and environment."""

import shlex
from typing import NamedTuple

from cnn_engine.runlog.state import RunState
from cnn_tui.text.safe import escaped, safe_text

MAX_VALUE_LENGTH = 1000


class CommandLine(NamedTuple):
    """A command and its working directory, as safe text."""

    command: str
    directory: str


def command_line(state: RunState) -> CommandLine | None:
    """Return the command that started the run; None if its log is older and lacks it."""
    started = state.started
    if started is None or not started.command:
        return None
    command = escaped(shlex.join(started.command), MAX_VALUE_LENGTH)
    return CommandLine(command, escaped(started.directory, MAX_VALUE_LENGTH))


def environment_values(state: RunState) -> dict[str, str]:
    """Return versions, device, digest of the images and git revision by name, as safe text.

    The number of processes is left out if there is only one.
    """
    environment = state.prepared.environment if state.prepared else {}
    return {
        safe_text(name): safe_text(value, MAX_VALUE_LENGTH)
        for name, value in environment.items()
        if (name, value) != ("processes", "1")
    }
