"""Atomic file writes: readers find the old content or the new, never a part."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TEMPORARY = "*.tmp"
"""Pattern of the names of unfinished files."""


def write_atomically(
    path: Path, content: bytes | memoryview, backup: Path | None = None, mode: int = 0o644
) -> None:
    """Replace a file in one step, and return once it is on disk.

    Args:
        path: The file.
        content: The new content.
        backup: New path of the old content, which is dropped by default. A process killed between
            the two renames leaves the old content only there.
        mode: Permissions of the new file.

    Raises:
        OSError: writing failed and the old content is kept, at `path` or `backup`. If only syncing
            the directory failed, the new content is in place.
    """
    with _temporary(path, mode) as (descriptor, temporary):
        _write(descriptor, content)
        os.fsync(descriptor)
        if backup is not None and path.exists():
            os.replace(path, backup)  # noqa: PTH105 - `os` calls throughout, so that tests can make them fail
        os.replace(temporary, path)  # noqa: PTH105
    _sync_directory(path.parent)


def write_cache(path: Path, content: bytes) -> None:
    """Replace a file in one step without waiting for the disk.

    Only for caches that can be rebuilt: after a power cut the file may be empty or damaged.

    Raises:
        OSError: writing failed; the old content is kept.
    """
    with _temporary(path) as (descriptor, temporary):
        _write(descriptor, content)
        os.replace(temporary, path)  # noqa: PTH105


@contextmanager
def _temporary(path: Path, mode: int = 0o644) -> Iterator[tuple[int, Path]]:
    """Create an unfinished file as `create_temporary` does; close it, and remove it on failure."""
    descriptor, temporary = create_temporary(path, mode)
    try:
        yield descriptor, temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def create_temporary(path: Path, mode: int = 0o644) -> tuple[int, Path]:
    """Create an unfinished file beside `path`, with a name of its own.

    Returns:
        Its descriptor, which holds a lock that keeps `remove_temporary_files` away, and its path.

    Raises:
        OSError: it cannot be created.
    """
    while True:
        temporary = path.with_name(f"{path.name[:40]}.{secrets.token_hex(6)}.tmp")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks, where nothing is removed either
            return descriptor, temporary
        if os.fstat(descriptor).st_nlink:
            return descriptor, temporary
        os.close(descriptor)  # another process removed it before it was locked


def remove_temporary_files(directory: Path) -> None:
    """Remove the unfinished files of killed processes and threads: those that nobody has locked."""
    for path in directory.glob(TEMPORARY):
        remove_unlocked(path)


def remove_unlocked(path: Path) -> bool:
    """Remove a file that nobody has locked; return False if it is left, or cannot be removed."""
    # Not opened if it is a pipe, which may block, or a link.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
    with suppress(OSError):
        descriptor = os.open(path, flags)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)
        return True
    return False


def _write(descriptor: int, content: bytes | memoryview) -> None:
    remaining = memoryview(content)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def _sync_directory(directory: Path) -> None:
    """Sync the directory, so that the renames are on disk too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
