"""What a run is asked to do: lines in its directory, from a key, a script or a signal alike."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from cnn_engine.errors import StorageError
from cnn_engine.runlog.log import LineReader

Name = Literal["pause", "unpause", "stop", "stop-epoch", "checkpoint", "lr", "epochs", "detach"]
"""Halt, and go on; save a checkpoint and end, at once or after the epoch in hand; save a
checkpoint and go on; change the learning rate; change the number of epochs; save a checkpoint and
go on in a process in the background."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One thing asked of a run, to be done between two steps."""

    name: Name
    """What is to be done."""

    by: str
    """Who asks: `key`, `cli`, or a signal's name."""

    value: float | None = None
    """The learning rate or the number of epochs asked for. Only with `lr` and `epochs`."""


def send(path: Path, command: Command) -> None:
    """Ask, by appending one line to a run's commands file.

    Raises:
        StorageError: the file cannot be written.
    """
    line = json.dumps(asdict(command)) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


class CommandReader:
    """Commands that have come since they were last looked for."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Look from an offset in bytes on: what lies before was for an earlier session."""
        self._lines = LineReader(path, offset)

    @property
    def bytes_read(self) -> int:
        """Bytes from the file's beginning to the end of the last command that was given."""
        return self._lines.bytes_read

    def poll(self) -> Iterator[Command]:
        """The new commands. A line that is none is passed over."""
        for line in self._lines.poll():
            command = _from_line(line)
            if command is not None:
                yield command


def _from_line(line: bytes) -> Command | None:
    try:
        values = json.loads(line)
        name, value = values["name"], values.get("value")
        if name not in get_args(Name) or type(value) not in (int, float, type(None)):
            return None
        by = str(values.get("by", ""))
        return Command(name=name, by=by, value=None if value is None else float(value))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
