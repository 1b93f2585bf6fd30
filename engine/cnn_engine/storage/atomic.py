"""Atomic file writes: readers find the old content or the new, never a part."""

import os
from pathlib import Path

TEMPORARY = "*.tmp"
"""Pattern of the names of unfinished files."""


def write_atomically(path: Path, content: bytes | memoryview, backup: Path | None = None) -> None:
    """Replace a file in one step, and return once it is on disk.

    Args:
        path: The file.
        content: The new content.
        backup: New path of the old content, which is dropped by default. A process killed between
            the two renames leaves the old content only there.

    Raises:
        OSError: writing failed and the old content is kept, at `path` or `backup`. If only syncing
            the directory failed, the new content is in place.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        _write(temporary, content)
        if backup is not None and path.exists():
            os.replace(path, backup)  # noqa: PTH105 - `os` calls throughout, so that tests can make them fail
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def write_cache(path: Path, content: bytes) -> None:
    """Replace a file in one step without waiting for the disk.

    Only for caches that can be rebuilt: after a power cut the file may be empty or damaged.

    Raises:
        OSError: writing failed; the old content is kept.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_temporary_files(directory: Path) -> None:
    """Remove unfinished files of killed processes. No process may be writing to the directory."""
    for path in directory.glob(TEMPORARY):
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes | memoryview) -> None:
    remaining = memoryview(content)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        while remaining:
            remaining = remaining[os.write(descriptor, remaining) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(directory: Path) -> None:
    """Sync the directory, so that the renames are on disk too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
