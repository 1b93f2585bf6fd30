"""Locks of files, which the kernel releases once no process has the file open any more."""

import fcntl
import os
import time
from pathlib import Path

RETRY_SECONDS = 0.01

LOOK_SECONDS = 0.5
"""Time to retry a lock that nobody should hold: `is_locked` takes it for a moment."""


def open_locked(
    path: Path, how: int, seconds: float = 0.0, flags: int = os.O_NOFOLLOW
) -> int | None:
    """Open a file, which is created if it is missing, and lock it.

    Args:
        path: The file, in a directory that exists.
        how: `fcntl.LOCK_EX` or `fcntl.LOCK_SH`.
        seconds: Time for which to try.
        flags: Flags of `os.open` besides reading, writing and creating.

    Returns:
        Its file descriptor, whose lock a process that inherits it inherits; None if other processes
        have locked it.

    Raises:
        OSError: it cannot be opened, or the file system has no locks.
    """
    # Writable, as NFS grants an exclusive lock only then.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
    try:
        if lock(descriptor, how, seconds):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def lock(descriptor: int, how: int, seconds: float = 0.0) -> bool:
    """Lock an open file, or change its lock; return False if others have locked it.

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
            time.sleep(RETRY_SECONDS)
        else:
            return True


def is_locked(path: Path) -> bool:
    """Return True if a process on this machine has locked a file exclusively.

    Raises:
        OSError: the file exists but cannot be opened or locked.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would block
    except FileNotFoundError:
        return False
    try:
        return not lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
