"""An entry of the image cache while its images are decoded.

For every image it contains the identity of the decoded file and a checksum of the pixels: an image
whose checksum is wrong, as after a power cut, is decoded again.
"""

import fcntl
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from mmap import MAP_SHARED, PROT_READ, PROT_WRITE, mmap
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cnn_engine.data import cache
from cnn_engine.data.cache import ID_BYTES, UNFINISHED, UNFINISHED_MAGIC, Index
from cnn_engine.progress import Progress
from cnn_engine.storage.atomic import create_temporary

RECORD = np.dtype([("id", "u1", ID_BYTES), ("checksum", "<u4")])
"""Identity of a decoded file, zeros if there is none yet, and CRC-32 of its pixels."""

ZEROS = bytes(1 << 20)

PROGRESS_IMAGES = 1_000
"""Checked images between two progress reports."""


class NewEntry:
    """An entry being written, of which a part may be decoded already."""

    def __init__(self, descriptor: int, path: Path, index: Index) -> None:
        """Map the file of an unfinished entry.

        Args:
            descriptor: The file, which is locked; closed by `close`.
            path: Its path. Under a temporary one, it is removed unless it is kept or published.
            index: Its description.
        """
        self._descriptor, self._path, self._index = descriptor, path, index
        self._is_kept = False
        size = index.pixel_bytes + index.extra_bytes
        self._map = mmap(descriptor, size, MAP_SHARED, PROT_READ | PROT_WRITE)
        pixels = np.frombuffer(self._map, np.uint8, index.pixel_bytes)
        self.images: NDArray[np.uint8] = pixels.reshape(index.shape)
        """uint8 [N, H, W, C] to fill in."""
        self._records = np.frombuffer(self._map, RECORD, index.shape[0], index.pixel_bytes)

    def mark(self, position: int, id_: bytes) -> None:
        """Record that the pixels of an image are those of a file."""
        self._records["checksum"][position] = zlib.crc32(self.images[position])
        self._records["id"][position] = np.frombuffer(id_, np.uint8)

    def missing(self, ids: Sequence[bytes], progress: Progress) -> list[int]:
        """Return the positions of images that are not decoded, or no longer intact.

        Args:
            ids: Identity of the file of each image.
            progress: Called with the number of checked images; may raise to abort.
        """
        found = self._records["id"].tobytes()
        missing = []
        for position, id_ in enumerate(ids):
            if position % PROGRESS_IMAGES == 0:
                progress("checking decoded images", position, len(ids))
            if found[position * ID_BYTES : (position + 1) * ID_BYTES] != id_ or (
                zlib.crc32(self.images[position]) != self._records["checksum"][position]
            ):
                missing.append(position)
        return missing

    def keep(
        self, path: Path, ids: Sequence[bytes], unreadable: dict[int, str], *, is_final: bool
    ) -> tuple[Index, mmap]:
        """Make a complete entry of it; return its index and its pixels.

        Args:
            path: The complete entry.
            ids: Identity of the file of each image.
            unreadable: Reasons of the files whose images are left out, by position.
            is_final: False if they may be readable later: the next process then copies the images
                and reads these files again.

        Raises:
            OSError: it cannot be written; it is removed.
        """
        self._leave_out(unreadable)
        index = replace(
            self._index,
            listing=self._index.listing if is_final else "",
            shape=(len(ids) - len(unreadable), *self._index.shape[1:]),
            unreadable=tuple(unreadable.items()),
            extra_bytes=len(ids) * ID_BYTES,
        )
        try:
            self._map.flush()  # takes longest, and until its end the entry can be continued
            os.ftruncate(self._descriptor, index.pixel_bytes)
            _write(self._descriptor, b"".join(ids) + cache.encoded(index), index.pixel_bytes)
            os.fsync(self._descriptor)
            pixels = cache.map_pixels(self._descriptor, index)
            self._path.replace(path)
        except OSError:
            self.discard()
            raise
        self._is_kept = True
        return index, pixels

    def _leave_out(self, positions: dict[int, str]) -> None:
        """Move the other images to the start, in place to save memory."""
        if not positions:
            return
        kept = (position for position in range(len(self._records)) if position not in positions)
        for target, source in enumerate(kept):
            if target != source:
                self.images[target] = self.images[source]
                self._records[target] = self._records[source]

    def publish(self, path: Path) -> None:
        """Rename the file, so that other processes find it."""
        self._path = self._path.replace(path)

    def discard(self) -> None:
        """Remove the file; the images stay until they are no longer used."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let the next process continue the entry; remove it if nothing is decoded."""
        is_published = self._path.suffix == UNFINISHED
        if not self._is_kept and not (is_published and self._records["id"].any()):
            self.discard()
        with suppress(OSError):  # the mapping has a duplicate of the descriptor, and so the lock
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def create(path: Path, index: Index) -> NewEntry:
    """Create an entry without images under a temporary name, which is locked.

    Args:
        path: The complete entry.
        index: Description of its images.

    Raises:
        OSError: there is not enough space, or it cannot be written.
    """
    size = index.pixel_bytes + index.extra_bytes
    cache.make_room(size)
    descriptor, temporary = create_temporary(path, 0o600)
    try:
        _reserve(descriptor, size)
        _write(descriptor, cache.encoded(index, UNFINISHED_MAGIC), size)
        return NewEntry(descriptor, temporary, index)
    except BaseException:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)
        raise


def _reserve(descriptor: int, size: int) -> None:
    """Allocate `size` bytes on disk: a write to a mapping on a full disk raises SIGBUS."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    for start in range(0, size, len(ZEROS)):  # macOS
        os.pwrite(descriptor, ZEROS[: size - start], start)


def _write(descriptor: int, content: bytes, offset: int) -> None:
    while content:
        count = os.pwrite(descriptor, content, offset)
        content, offset = content[count:], offset + count
