"""Cache of decoded image folders between runs.

An entry is one file: the pixels, which can be mapped directly; an index in JSON with their shape,
folder and listing digest; and a trailer with the length of the index. It is written under a
temporary name with a lock and renamed once it is complete and on disk, so that a killed process
leaves only an unlocked file, which the next one removes. An entry that is removed while another
process has it mapped stays until that process ends.

File system errors are raised as `OSError`; callers can continue without the cache.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import struct
import sys
from dataclasses import asdict, dataclass
from mmap import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, mmap
from pathlib import Path
from typing import Self

import msgspec

from cnn_engine.storage.atomic import TEMPORARY, create_temporary, remove_temporary_files
from cnn_engine.storage.user_directories import user_cache_directory

LIMIT_BYTES = 20 << 30
"""Limit on the size of all entries together; a single entry may exceed it."""

FREE_BYTES = 2 << 30
"""Disk space that the cache leaves free."""

TRAILER = struct.Struct("<8sQ")
"""`MAGIC`, and the length of the index in bytes."""

MAGIC = b"cnn-tui1"

MAP_NORESERVE = 0x4000 if sys.platform == "linux" else 0
"""Linux otherwise refuses a private map larger than memory. (Python 3.11's mmap lacks the name.)"""

ZEROS = bytes(1 << 20)


@dataclass(frozen=True, kw_only=True)
class Index:
    """Description of an entry's pixels."""

    folder: str
    """Absolute path of the source folder."""

    listing: str
    """Digest of the folder's listing."""

    shape: tuple[int, int, int, int]
    """[N, H, W, C] of the pixels, which are uint8."""

    unreadable: tuple[tuple[int, str], ...]
    """Unreadable files: position in the listing, and reason."""

    @property
    def pixel_bytes(self) -> int:
        """Size of the pixels in bytes."""
        count, height, width, channels = self.shape
        return count * height * width * channels


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of the cache."""

    path: Path

    bytes: int
    """Size of the file."""

    last_used: float
    """Unix time."""

    index: Index | None
    """None if the entry is damaged or of another version."""


def cache_directory() -> Path:
    """Return the directory of the entries."""
    return user_cache_directory() / "images"


def entry_path(folder: Path, *decoding: object) -> Path:
    """Return the path of a folder's entry for the given decoding parameters."""
    text = json.dumps([str(folder), *map(str, decoding)])
    return cache_directory() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.pixels"


def entries() -> list[Entry]:
    """Return all entries, the most recently used first."""
    found = []
    for path in cache_directory().glob("*.pixels"):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            status = os.fstat(file.fileno())
            index = _read_index(file.fileno())
            used = status.st_mtime
            found.append(Entry(path=path, bytes=status.st_size, last_used=used, index=index))
    return sorted(found, key=lambda entry: entry.last_used, reverse=True)


def open_entry(path: Path, listing: str) -> tuple[Index, mmap] | None:
    """Return index and pixels of a complete entry with this listing digest; None without one."""
    try:
        with path.open("rb") as file:
            index = _read_index(file.fileno())
            if index is None or index.listing != listing:
                return None
            pixels = _map(file.fileno(), index)
    except OSError:
        return None  # decoded again; writing the entry reports the error
    with contextlib.suppress(OSError):  # without the timestamp, eviction order is less exact
        os.utime(path)
    return index, pixels


def clear(folder: Path | None = None) -> list[Entry]:
    """Remove all entries, or those of one folder, and return them.

    Raises:
        OSError: an entry cannot be removed.
    """
    remove_temporary_files(cache_directory())
    removed = []
    for entry in entries():
        if folder is None or (entry.index and entry.index.folder == str(folder)):
            entry.path.unlink(missing_ok=True)
            removed.append(entry)
    return removed


class NewEntry:
    """An entry being written; removed unless `keep` is called.

    Raises:
        OSError: there is not enough space, or it cannot be written.
    """

    def __init__(self, path: Path, size: int) -> None:
        """Reserve `size` bytes of pixels; remove an older entry at the same path."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        remove_temporary_files(cache_directory())
        _make_room(size)
        self._descriptor, self._temporary = create_temporary(path, 0o600)
        self._is_kept = False
        try:
            _reserve(self._descriptor, size)
            self.pixels = mmap(self._descriptor, size, MAP_SHARED, PROT_READ | PROT_WRITE)
            """Pixels to fill in; initially zero."""
        except BaseException:
            self.close()
            raise

    def keep(self, index: Index) -> mmap:
        """Finish the entry with the part of `pixels` that the index describes; return it mapped.

        Raises:
            OSError: it cannot be written.
        """
        content = json.dumps(asdict(index)).encode()
        content += TRAILER.pack(MAGIC, len(content))
        self.pixels.flush()
        os.pwrite(self._descriptor, content, index.pixel_bytes)
        os.ftruncate(self._descriptor, index.pixel_bytes + len(content))
        os.fsync(self._descriptor)
        pixels = _map(self._descriptor, index)
        self._temporary.replace(self._path)
        self._is_kept = True
        return pixels

    def close(self) -> None:
        """Remove the entry unless it was kept."""
        if not self._is_kept:
            self._temporary.unlink(missing_ok=True)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _map(descriptor: int, index: Index) -> mmap:
    """Map the pixels copy-on-write."""
    flags = MAP_PRIVATE | MAP_NORESERVE
    return mmap(descriptor, index.pixel_bytes, flags, PROT_READ | PROT_WRITE)


def _read_index(descriptor: int) -> Index | None:
    """Return the index of a complete file, else None."""
    size = os.fstat(descriptor).st_size
    if size < TRAILER.size:
        return None
    magic, length = TRAILER.unpack(os.pread(descriptor, TRAILER.size, size - TRAILER.size))
    start = size - TRAILER.size - length
    if magic != MAGIC or start <= 0:
        return None
    index = _parse(os.pread(descriptor, length, start))
    return index if index and index.pixel_bytes == start else None


def _parse(content: bytes) -> Index | None:
    try:
        # Not by msgspec: file names that are not UTF-8 are written with lone surrogates.
        return msgspec.convert(json.loads(content), Index)
    except (ValueError, RecursionError):
        return None


def _make_room(size: int) -> None:
    """Evict the least recently used entries until `size` more bytes are within the limits."""
    free = shutil.disk_usage(cache_directory()).free
    taken = sum(path.stat().st_size for path in cache_directory().glob(TEMPORARY))
    evictable = entries()
    taken += sum(entry.bytes for entry in evictable)
    if free + sum(entry.bytes for entry in evictable) < size + FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(cache_directory()))
    while evictable and (taken + size > LIMIT_BYTES or free < size + FREE_BYTES):
        oldest = evictable.pop()
        oldest.path.unlink(missing_ok=True)
        taken, free = taken - oldest.bytes, free + oldest.bytes


def _reserve(descriptor: int, size: int) -> None:
    """Allocate `size` bytes on disk: a write to a mapping on a full disk raises SIGBUS."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    for start in range(0, size, len(ZEROS)):  # macOS
        os.pwrite(descriptor, ZEROS[: size - start], start)
