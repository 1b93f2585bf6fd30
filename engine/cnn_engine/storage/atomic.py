"""Writing files so that a reader finds the old content or the new, never a part."""

import os
from pathlib import Path

TEMPORARY = "*.tmp"
"""Names of files that are being written."""


def write_atomically(path: Path, content: bytes | memoryview, backup: Path | None = None) -> None:
    """Replace the file's content in one step, and return once it is on disk.

    Args:
        path: What to replace.
        content: Its new content.
        backup: What its old content is called from then on; without it, that is gone. A
            process that is killed between the two steps leaves the old content under that name.

    Raises:
        OSError: the old content stands, there or where it is kept; only where the directory
            could not be brought to disk, the new content is in its place.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        _write(temporary, content)
        if backup is not None and path.exists():
            os.replace(path, backup)  # noqa: PTH105 - one module of calls, for all that fail
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def write_cache(path: Path, content: bytes) -> None:
    """Replace the file's content in one step, without waiting for the disk.

    After a power cut it may be empty or damaged: it must be of no matter to be made anew.

    Raises:
        OSError: it could not be written; the old content stands.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_temporary_files(directory: Path) -> None:
    """Remove what writers left that died while they wrote; there must be none alive."""
    for path in directory.glob(TEMPORARY):
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes | memoryview) -> None:
    rest = memoryview(content)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    """Make the new name itself durable, not only the content behind it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
