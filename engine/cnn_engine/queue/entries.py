"""Entries of the queue: runs that wait for a device, first come, first served."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

import msgspec

from cnn_engine.errors import StorageError
from cnn_engine.queue.devices import DeviceKind
from cnn_engine.queue.files import queue_directory, queue_lock, unwritable
from cnn_engine.storage.atomic import write_atomically
from cnn_engine.storage.regular_files import open_regular
from cnn_engine.system.end_time import END_TIME

FORMAT = 1

MAX_BYTES = 2**24

KEPT_VARIABLES = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTHONPATH")
"""Environment variables that a run gets as they were when it was queued; all others are those of
the process that starts it, as they may contain secrets."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A run that waits for a device."""

    run: str
    """Absolute path of its directory."""

    device: DeviceKind

    is_series: bool = False
    """True for the first run of a series, all of whose runs are trained at its turn."""

    held: bool = False
    """True if it is not started until it is put back in line."""

    python: str
    """Path of the Python program that trains it."""

    directory: str = ""
    """Working directory, from which a network of one's own is imported."""

    environment: dict[str, str] = field(default_factory=dict)
    """Values of `KEPT_VARIABLES`, without those that are not set."""


def new_entry(
    run: Path, device: DeviceKind, *, held: bool = False, is_series: bool = False
) -> Entry:
    """Return an entry for a run, with the program, directory and environment of this process."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return Entry(
        run=_key(run),
        device=device,
        is_series=is_series,
        held=held,
        python=sys.executable,
        directory=str(Path.cwd()),
        environment=kept,
    )


def environment_of(entry: Entry, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the process that trains an entry.

    Args:
        entry: The entry.
        more: Variables of the device that it gets.
    """
    own = {*KEPT_VARIABLES, END_TIME}  # the time limit of the command that started this process
    inherited = {key: value for key, value in os.environ.items() if key not in own}
    return {**inherited, **entry.environment, **more}


Entries: TypeAlias = list[Entry]


class _File(msgspec.Struct):
    entries: list[Entry]
    format: int = FORMAT


def read_entries(host: str = "") -> Entries:
    """Return the entries of a machine in their order; none if its file is missing or damaged."""
    try:
        return _read(queue_directory(host) / "queue.json")
    except (OSError, StorageError):
        return []


@contextmanager
def changed_entries() -> Iterator[Entries]:
    """Yield the entries of this machine, to be changed in place; they are written at the end.

    Raises:
        StorageError: they cannot be read or written.
    """
    with queue_lock() as directory:
        path = directory / "queue.json"
        try:
            entries = _read(path)
            before = [*entries]
            yield entries
            if entries != before:
                values = {"format": FORMAT, "entries": list(map(asdict, entries))}
                write_atomically(path, json.dumps(values).encode(), mode=0o600)
        except OSError as error:
            raise unwritable(path, error) from None


def find(entries: Entries, run: Path) -> Entry | None:
    """Return the entry of a run; None without any."""
    key = _key(run)
    return next((entry for entry in entries if entry.run == key), None)


def remove_entry(run: Path) -> None:
    """Remove the entry of a run if there is one.

    Raises:
        StorageError: the queue cannot be written.
    """
    if find(read_entries(), run) is None:
        return
    key = _key(run)
    with changed_entries() as entries:
        entries[:] = [entry for entry in entries if entry.run != key]


def _key(run: Path) -> str:
    return os.path.realpath(run)


def _read(path: Path) -> Entries:
    """Return the entries in a file; none if it is missing.

    Raises:
        OSError: it cannot be read.
        StorageError: it is damaged, or a newer version wrote it.
    """
    try:
        with open_regular(path) as file:
            content = file.read(MAX_BYTES)
    except FileNotFoundError:
        return []
    try:
        # By json: paths that are not UTF-8 have lone surrogates.
        read = msgspec.convert(json.loads(content), _File)
    except (ValueError, RecursionError):
        read = None
    if read is None or read.format > FORMAT:
        raise StorageError(
            f"{path}: is damaged, or a newer version of cnn-tui wrote it; remove it, and start its "
            "runs with: cnn-tui resume RUN"
        )
    return read.entries
