"""Where a run comes from: its command line, and the environment that its figures depend on."""

import shlex
from typing import NamedTuple

from cnn_engine.runlog.state import RunState
from cnn_tui.text.safe import safe_text

MAX_VALUE_LENGTH = 1000


class CommandLine(NamedTuple):
    """What was typed, both harmless on a terminal."""

    words: str
    directory: str


def command_line(state: RunState) -> CommandLine | None:
    """The command that started the run; None where an older log does not tell."""
    started = state.started
    if started is None or not started.command:
        return None
    words = safe_text(shlex.join(started.command), MAX_VALUE_LENGTH)
    return CommandLine(words, safe_text(started.directory, MAX_VALUE_LENGTH))


def environment_values(state: RunState) -> dict[str, str]:
    """Versions, device, digest of the images, git revision, by name; harmless on a terminal."""
    known = state.prepared.environment if state.prepared else {}
    return {safe_text(name): safe_text(value, MAX_VALUE_LENGTH) for name, value in known.items()}
