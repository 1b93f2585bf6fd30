"""Start of an entry of the image cache, from the images that an earlier one contains.

An unfinished entry has a fixed name beside its complete one, so that the next process finds what a
killed one has decoded. The process that decodes holds a lock on it; others wait.

If the listing has changed, the images of unchanged files are copied from the earlier entry,
complete or not. A complete entry is never changed, because other processes may have it mapped.
"""

import errno
import fcntl
import os
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnn_engine.data import cache
from cnn_engine.data.cache import ID_BYTES, UNFINISHED, UNFINISHED_MAGIC, Index
from cnn_engine.data.new_entry import PROGRESS_IMAGES, RECORD, NewEntry, create
from cnn_engine.progress import Progress

WAIT_SECONDS = 0.2
"""Interval at which the lock of another process is tried again."""

WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""Error numbers of file systems that have no locks."""

NOTHING = bytes(ID_BYTES)


def open_new_entry(
    path: Path, index: Index, ids: Sequence[bytes], progress: Progress
) -> NewEntry | None:
    """Continue or begin an entry; None if another process has completed it meanwhile.

    Args:
        path: The complete entry.
        index: Description of all images that are to be decoded.
        ids: Identity of the file of each image.
        progress: Called while waiting for another process, and while images are copied from an
            earlier entry; may raise to abort.

    Raises:
        OSError: there is not enough space, or it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    cache.remove_stale()
    index = replace(index, extra_bytes=len(ids) * RECORD.itemsize)
    unfinished = path.with_suffix(UNFINISHED)
    try:
        descriptor = _lock(unfinished, progress)
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        return create(path, index)
    try:
        if cache.open_entry(path, index.listing) is not None:
            unfinished.unlink()
            os.close(descriptor)
            return None
        if _can_continue(descriptor, index, ids):
            return NewEntry(descriptor, unfinished, index)
        entry = _begin(path, descriptor, index, ids, progress)
    except BaseException:
        if not os.fstat(descriptor).st_size:
            unfinished.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    os.close(descriptor)
    return entry


def _lock(path: Path, progress: Progress) -> int:
    """Return a locked file of this name, possibly empty; wait for another process that has it.

    Raises:
        OSError: it cannot be opened, or locks are not supported.
    """
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
            os.close(descriptor)  # the other process has completed or removed it
        except BlockingIOError:
            os.close(descriptor)
            progress("waiting for another process that decodes these images", 0, 0)
            time.sleep(WAIT_SECONDS)
        except OSError:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            raise


class _Earlier(NamedTuple):
    """Images of an earlier entry."""

    descriptor: int

    rows: dict[bytes, tuple[int, int | None]]
    """Position and checksum of the pixels by the identity of the file; a complete entry is on disk
    and needs no checksum."""


def _can_continue(descriptor: int, index: Index, ids: Sequence[bytes]) -> bool:
    """Return True if all images that can be used of an unfinished entry are at their place."""
    found = cache.read_index(descriptor, UNFINISHED_MAGIC)
    if found is None or (found.shape, found.extra_bytes) != (index.shape, index.extra_bytes):
        return False
    rows = _recorded(descriptor, found)
    return all(id_ not in rows or rows[id_][0] == position for position, id_ in enumerate(ids))


def _recorded(descriptor: int, index: Index) -> dict[bytes, tuple[int, int | None]]:
    """Return positions and checksums of the decoded images of an unfinished entry."""
    content = os.pread(descriptor, index.extra_bytes, index.pixel_bytes)
    records = np.frombuffer(content, RECORD)
    ids = (row.tobytes() for row in records["id"])
    return {
        id_: (position, checksum)
        for position, (id_, checksum) in enumerate(
            zip(ids, records["checksum"].tolist(), strict=True)
        )
        if id_ != NOTHING
    }


def _begin(
    path: Path, descriptor: int, index: Index, ids: Sequence[bytes], progress: Progress
) -> NewEntry:
    """Return a new entry with the unchanged images of the earlier ones, which it replaces.

    Args:
        path: The complete entry.
        descriptor: The unfinished one, which is locked.
        index: Description of the new entry.
        ids: Identity of the file of each image.
        progress: Called with the number of copied images.
    """
    complete = _open_if_exists(path)
    try:
        earlier = [*_unfinished_images(descriptor, index), *_complete_images(complete, index)]
        try:
            entry = create(path, index)
        except OSError as error:
            if error.errno != errno.ENOSPC or not earlier:
                raise
            os.ftruncate(descriptor, 0)  # decode all again, as both do not fit on the disk
            path.unlink(missing_ok=True)
            earlier, entry = [], create(path, index)
        try:
            _copy(entry, earlier, ids, progress)
            entry.publish(path.with_suffix(UNFINISHED))
        except BaseException:
            entry.close()
            raise
        path.unlink(missing_ok=True)
        return entry
    finally:
        if complete is not None:
            os.close(complete)


def _open_if_exists(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return None


def _unfinished_images(descriptor: int, index: Index) -> list[_Earlier]:
    found = cache.read_index(descriptor, UNFINISHED_MAGIC)
    if found is None or found.shape[1:] != index.shape[1:]:
        return []
    if found.extra_bytes != found.shape[0] * RECORD.itemsize:
        return []
    return [_Earlier(descriptor, _recorded(descriptor, found))]


def _complete_images(descriptor: int | None, index: Index) -> list[_Earlier]:
    found = cache.read_index(descriptor) if descriptor is not None else None
    if descriptor is None or found is None or found.shape[1:] != index.shape[1:]:
        return []
    content = os.pread(descriptor, found.extra_bytes, found.pixel_bytes)
    unreadable = dict(found.unreadable)
    readable = (
        content[position * ID_BYTES : (position + 1) * ID_BYTES]
        for position in range(len(content) // ID_BYTES)
        if position not in unreadable
    )
    return [_Earlier(descriptor, {id_: (row, None) for row, id_ in enumerate(readable)})]


def _copy(
    entry: NewEntry, earlier: list[_Earlier], ids: Sequence[bytes], progress: Progress
) -> None:
    """Copy the images of unchanged files."""
    row_bytes = entry.images[0].nbytes
    for descriptor, rows in earlier:
        for position, id_ in enumerate(ids):
            if position % PROGRESS_IMAGES == 0:
                progress("reading decoded images", position, len(ids))
            if id_ in rows:
                row, checksum = rows[id_]
                os.preadv(descriptor, [entry.images[position].data], row * row_bytes)
                if checksum is None or zlib.crc32(entry.images[position]) == checksum:
                    entry.mark(position, id_)
