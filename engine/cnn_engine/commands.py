"""What a run is asked to do: lines in its directory, from a key, a script or a signal alike."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cnn_engine.errors import StorageError
from cnn_engine.runlog import LineReader


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Save a checkpoint after the step in hand, and end."""

    by: str
    """Who asks: `key`, `cli`, or a signal's name."""


def send(path: Path, command: Stop) -> None:
    """Ask, by appending one line to a run's commands file.

    Raises:
        StorageError: the file cannot be written.
    """
    line = json.dumps({"command": "stop", **asdict(command)}) + "\n"
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

    def __init__(self, path: Path) -> None:
        self._lines = LineReader(path)

    def poll(self) -> Iterator[Stop]:
        """The new commands. A line that is none is passed over."""
        for line in self._lines.poll():
            try:
                values = json.loads(line)
            except ValueError:
                continue
            if isinstance(values, dict) and values.get("command") == "stop":
                yield Stop(by=str(values.get("by", "")))
