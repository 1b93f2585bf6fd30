"""Commands to a running run: lines in its directory, sent by a key, a script or a signal."""

import errno
import json
import math
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import msgspec

from cnn_engine.config.limits import MAX_EPOCHS
from cnn_engine.errors import StorageError
from cnn_engine.runlog.log import LineReader, ends_torn

Name = Literal[
    "pause",
    "unpause",
    "stop",
    "stop-epoch",
    "stop-test",
    "checkpoint",
    "lr",
    "epochs",
    "detach",
]
"""`pause` and `unpause`; `stop`, `stop-epoch`, `stop-test`: save a checkpoint and end, now, after
this epoch and the test, or now but after a test of the best weights; `checkpoint`: save one; `lr`
and `epochs`: change the value; `detach`: save a checkpoint and continue in the background."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that the engine applies between two steps."""

    name: Name

    by: str
    """Sender: `key`, `cli`, `time-limit`, or the name of a signal."""

    value: float | None = None
    """New learning rate or total number of epochs. Only with `lr` and `epochs`."""


class _Line(msgspec.Struct):
    """A line as any program may write it; `by` may be anything, as it is only shown."""

    name: Name
    by: object = ""
    value: float | None = None


def without_repeats(commands: Iterable[Command]) -> list[Command]:
    """Return those of the commands that count if all arrive at once, in order.

    Of several learning rates, totals of epochs or checkpoints the last one counts. The end of the
    run comes last; before a stop only changed values count, which its checkpoint saves.
    """
    arrived = list(commands)
    last = {command.name: command for command in arrived}
    for stop in ("stop", "stop-test"):
        if stop in last:
            first = next(command for command in arrived if command.name == stop)
            return [*(last[name] for name in ("lr", "epochs") if name in last), first]
    kept = [
        command
        for command in arrived
        if command.name in ("pause", "unpause") or command is last[command.name]
    ]
    return sorted(kept, key=lambda command: command.name == "detach")


def value_error(command: Command, min_epochs: int) -> str:
    """Return why the value of a command cannot be used, as a sentence; empty if it can.

    Args:
        command: The command.
        min_epochs: Minimum total number of epochs: the epoch that has begun, or 1.
    """
    value = math.nan if command.value is None else command.value
    if command.name == "lr" and not 0 < value < math.inf:
        return f"lr {value:g}: a learning rate must be a positive number"
    if command.name == "epochs" and not (value.is_integer() and 1 <= value <= MAX_EPOCHS):
        return f"epochs {value:g}: must be a whole number from {min_epochs} to {MAX_EPOCHS}"
    if command.name == "epochs" and value < min_epochs:
        return f"epochs {value:g}: epoch {min_epochs} has begun; set {min_epochs} or more"
    return ""


def send(path: Path, command: Command) -> None:
    """Append a command to a run's commands file, on a line of its own.

    Raises:
        StorageError: the file cannot be written, or only a part of the command could be.
    """
    line = json.dumps(asdict(command)).encode() + b"\n"
    try:
        # O_NONBLOCK: a pipe in place of the file would block for ever. O_NOFOLLOW: who may write to
        # the directory could make the sender write anywhere.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise StorageError(f"{path}: cannot be written: is not a regular file")
            if ends_torn(descriptor):
                line = b"\n" + line
            written = os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = "is a link" if path.is_symlink() else error.strerror
        raise StorageError(f"{path}: cannot be written: {reason}") from None
    if written < len(line):  # the next command begins with a newline
        raise StorageError(f"{path}: cannot be written: {os.strerror(errno.ENOSPC)}")


class CommandReader:
    """Reads new commands from a run's commands file, and takes those of this process."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Read from an offset in bytes, which skips the commands of earlier sessions."""
        self._lines = LineReader(path, offset)
        self._added: deque[Command] = deque()

    def add(self, command: Command) -> None:
        """Add a command of this process, which needs no file; safe in a signal handler."""
        self._added.append(command)

    @property
    def bytes_read(self) -> int:
        """Offset in bytes behind the last command that was returned."""
        return self._lines.bytes_read

    def poll(self) -> Iterator[Command]:
        """Yield the commands added since the last call; lines that are not commands are skipped.

        Raises:
            OSError: the file cannot be read now; a later call may succeed.
        """
        while self._added:
            yield self._added.popleft()
        for line in self._lines.poll():
            command = _from_line(line)
            if command is not None:
                yield command


def _from_line(line: bytes) -> Command | None:
    try:
        # Python's own reader, because `send` writes a learning rate that is not finite as NaN.
        command = msgspec.convert(json.loads(line), _Line)
    except (ValueError, OverflowError, RecursionError):
        return None
    return Command(name=command.name, by=str(command.by), value=command.value)
