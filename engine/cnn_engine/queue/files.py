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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnn_engine.errors import StorageError
from cnn_engine.storage.user_directories import user_state_directory

CHANGE_SECONDS = 10.0
"""Maximum time to wait for another change of the queue, which takes milliseconds."""


def queue_directory(host: str = "") -> Path:
    """Return the directory of the queue of a machine; of this one by default."""
    return user_state_directory() / "queue" / (host or socket.gethostname())


def try_lock(path: Path, how: int, seconds: float = 0.0) -> int | None:
    """Lock a file, which is created if it is missing.

    Args:
        path: The file, in a directory that exists.
        how: `fcntl.LOCK_EX` or `fcntl.LOCK_SH`.
        seconds: Time for which to try.

    Returns:
        Its file descriptor; None if other processes have locked it.

    Raises:
        OSError: it cannot be opened or locked.
    """
    # Writable, as NFS grants an exclusive lock only then.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if relock(descriptor, how, seconds):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def relock(descriptor: int, how: int, seconds: float = 0.0) -> bool:
    """Change the lock of an open file; return False if others have locked it, and this one not.

    Raises:
        OSError: the file system has no locks.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        else:
            return True


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
        lock = try_lock(path, fcntl.LOCK_EX, CHANGE_SECONDS)
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
