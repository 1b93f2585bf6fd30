"""Receivers of a run's messages, in a private file of its directory."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec
from msgspec import MsgspecError

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.notifications.urls import check_url
from cnn_engine.notifications.variables import COMMAND_VARIABLE, EVENTS_VARIABLE, URL_VARIABLE
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.storage.atomic import write_atomically
from cnn_engine.storage.regular_files import open_regular

EventName: TypeAlias = Literal["done", "failed", "stopped", "alarm"]

EVENT_NAMES: tuple[EventName, ...] = get_args(EventName)

PRIVATE = 0o600
"""Mode of the file: URLs are secrets, and the command is executed."""

MAX_BYTES = 2**16


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Receivers of a run's messages."""

    urls: tuple[str, ...] = ()

    events: tuple[EventName, ...] = EVENT_NAMES
    """Events of which messages are sent to the URLs."""

    on_end: str = ""
    """Shell command that is executed when the run ends, whatever the events are; may be empty."""

    def __bool__(self) -> bool:
        return bool(self.urls or self.on_end)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.urls)} URLs)"  # a traceback shows no secret

    def in_series(self) -> "Targets":
        """Return the targets for a run of a series, whose end has a message of its own."""
        events = tuple(name for name in self.events if name in ("failed", "alarm"))
        return replace(self, events=events, on_end="")


NO_TARGETS = Targets()


class _Stored(msgspec.Struct):
    """Content of the file."""

    directory: int
    """Number of the directory that it was written in."""

    targets: Targets


_DECODER = msgspec.json.Decoder(_Stored)


def parse_events(text: str, source: str) -> tuple[EventName, ...]:
    """Return the events of a list with commas or spaces between.

    Args:
        text: The list.
        source: The option or variable that gave it, which the error names.

    Raises:
        ConfigError: it is empty, or there is no such event.
    """
    words = text.replace(",", " ").split()
    if not words or not set(words) <= set(EVENT_NAMES):
        raise ConfigError(f"{source} {text!r}: expected one or more of {', '.join(EVENT_NAMES)}")
    return tuple(name for name in EVENT_NAMES if name in words)


def targets_of_environment(environment: Mapping[str, str]) -> Targets:
    """Return the targets that environment variables name; `NO_TARGETS` without any.

    Raises:
        ConfigError: a URL or an event is invalid.
    """
    urls = (check_url(url, URL_VARIABLE) for url in environment.get(URL_VARIABLE, "").split())
    events = environment.get(EVENTS_VARIABLE, "").strip()
    return Targets(
        urls=tuple(dict.fromkeys(urls)),
        events=parse_events(events, EVENTS_VARIABLE) if events else EVENT_NAMES,
        on_end=environment.get(COMMAND_VARIABLE, "").strip(),
    )


def write_targets(run: RunDirectory, targets: Targets) -> None:
    """Keep the targets in the run's directory, readable by the user only; remove empty ones.

    Raises:
        StorageError: they cannot be written.
    """
    path = run.notify
    try:
        if not targets:
            path.unlink(missing_ok=True)
            return
        content = msgspec.json.encode(_Stored(directory=_identity(run), targets=targets))
        write_atomically(path, content, mode=PRIVATE)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


def read_targets(run: RunDirectory) -> Targets:
    """Return the targets in the run's directory; `NO_TARGETS` without any.

    Raises:
        StorageError: they cannot be read, or another user or another directory has written them:
            a copied run must not execute commands of whoever made it.
    """
    path = run.notify
    fix = "give --notify and --on-end again"
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            content = file.read(MAX_BYTES)
    except FileNotFoundError:
        return NO_TARGETS
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}; {fix}") from None
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise StorageError(f"{path}: ignored, as it is not private (chmod 600); {fix}")
    try:
        stored = _DECODER.decode(content)
        for url in stored.targets.urls:
            check_url(url)
    except (MsgspecError, RecursionError, ConfigError):
        raise StorageError(f"{path}: ignored, as it is damaged; {fix}") from None
    if stored.directory != _identity(run):
        raise StorageError(f"{path}: ignored, as it was copied from another run; {fix}")
    return stored.targets


def _identity(run: RunDirectory) -> int:
    """Return a number of the directory that it keeps when it is moved, and that no copy has."""
    return Path(run.path).stat().st_ino
