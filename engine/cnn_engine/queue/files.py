"""Directory of the queue of a machine, and its locks, which the kernel releases.

::

    queue/HOST/                in the user's state directory, which machines may share
        queue.json             the entries, in their order
        queue.lock             locked for the moment of a change
        holder.lock            locked by the process that starts the entries
        devices/NAME.lock      locked, shared, by each process that trains on the device
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnn_engine.errors import StorageError
from cnn_engine.storage.locks import open_locked
from cnn_engine.storage.user_directories import user_state_directory

CHANGE_SECONDS = 10.0
"""Maximum time to wait for another change of the queue, which takes milliseconds."""


def queue_directory(host: str = "") -> Path:
    """Return the directory of the queue of a machine; of this one by default."""
    return user_state_directory() / "queue" / (host or socket.gethostname())


@contextmanager
def queue_lock() -> Iterator[Path]:
    """Keep other processes from changing the queue; yield its directory.

    Raises:
        StorageError: the directory cannot be written, or another process is stuck in a change.
    """
    directory = queue_directory()
    path = directory / "queue.lock"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = open_locked(path, fcntl.LOCK_EX, CHANGE_SECONDS)
    except OSError as error:
        raise unwritable(directory, error) from None
    if lock is None:
        raise StorageError(f"{path}: another process has locked the queue; try again")
    try:
        yield directory
    finally:
        os.close(lock)


def unwritable(path: Path, error: OSError) -> StorageError:
    """Return the error for a queue that cannot be written."""
    advice = "without a queue, start runs with run --detach"
    return StorageError(f"{path}: the queue cannot be written: {error.strerror}; {advice}")
