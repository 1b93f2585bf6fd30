"""Cache of decoded image folders between runs.

An entry is one file: the pixels, which can be mapped directly; the identities of the decoded files;
an index in JSON with the shape of the pixels, their folder and the listing's digest; and a trailer
with the length of the index. `new_entry` writes it under another name and renames it once it is
complete and on disk. An entry that is removed while another process has it mapped stays until that
process ends.

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
import time
from dataclasses import asdict, dataclass
from mmap import MAP_PRIVATE, PROT_READ, PROT_WRITE, mmap
from pathlib import Path

import msgspec

from cnn_engine.storage.atomic import TEMPORARY, remove_temporary_files, remove_unlocked
from cnn_engine.storage.user_directories import user_cache_directory

LIMIT_BYTES = 20 << 30
"""Limit on the size of all entries together; a single entry may exceed it."""

FREE_BYTES = 2 << 30
"""Disk space that the cache leaves free."""

TRAILER = struct.Struct("<8sQ")
"""Magic bytes, and the length of the index in bytes."""

MAGIC, UNFINISHED_MAGIC = b"cnn-tui1", b"cnn-tui_"
"""Magic bytes of complete and of unfinished entries."""

UNFINISHED = ".unfinished"
"""Suffix of the names of unfinished entries; complete ones have `.pixels`."""

UNFINISHED_SECONDS = 14 * 86_400
"""Age at which unfinished entries are removed."""

ID_BYTES = 16
"""Length of a file's identity."""

RECORD_BYTES = ID_BYTES + 4
"""Length of the record of an image in an unfinished entry: the identity of its decoded file, or
zeros, and a checksum."""

MAP_NORESERVE = 0x4000 if sys.platform == "linux" else 0
"""Linux otherwise refuses a private map larger than memory. (Python 3.11's mmap lacks the name.)"""


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

    extra_bytes: int = 0
    """Bytes between the pixels and the index: the identity of every file of the listing, or the
    records of an unfinished entry."""

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

    decoded: int
    """Number of decoded images."""

    is_finished: bool
    """False if it is being decoded, or was interrupted."""


def cache_directory() -> Path:
    """Return the directory of the entries."""
    return user_cache_directory() / "images"


def entry_path(folder: Path, *decoding: object) -> Path:
    """Return the path of a folder's entry for the given decoding parameters."""
    text = json.dumps([str(folder), *map(str, decoding)])
    return cache_directory() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.pixels"


def entries() -> list[Entry]:
    """Return all entries, also unfinished ones, the most recently used first."""
    found = []
    for path in (*cache_directory().glob("*.pixels"), *cache_directory().glob(f"*{UNFINISHED}")):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            found.append(_entry(path, file.fileno()))
    return sorted(found, key=lambda entry: entry.last_used, reverse=True)


def _entry(path: Path, descriptor: int) -> Entry:
    status, is_finished = os.fstat(descriptor), path.suffix != UNFINISHED
    index = read_index(descriptor, MAGIC if is_finished else UNFINISHED_MAGIC)
    decoded = index.shape[0] if index else 0
    if index and not is_finished:
        records = os.pread(descriptor, index.extra_bytes, index.pixel_bytes)
        starts = range(0, len(records), RECORD_BYTES)
        decoded = sum(any(records[start : start + ID_BYTES]) for start in starts)
    return Entry(
        path=path,
        bytes=status.st_size,
        last_used=status.st_mtime,
        index=index,
        decoded=decoded,
        is_finished=is_finished,
    )


def open_entry(path: Path, listing: str) -> tuple[Index, mmap] | None:
    """Return index and pixels of a complete entry with this listing digest; None without one."""
    try:
        with path.open("rb") as file:
            index = read_index(file.fileno())
            if index is None or index.listing != listing:
                return None
            pixels = map_pixels(file.fileno(), index)
    except OSError:
        return None  # decoded again; writing the entry reports the error
    with contextlib.suppress(OSError):  # without the timestamp, eviction order is less exact
        os.utime(path)
    return index, pixels


def clear(folder: Path | None = None) -> list[Entry]:
    """Remove all entries, or those of one folder, and return them; none that is being written.

    Raises:
        OSError: an entry cannot be removed.
    """
    remove_temporary_files(cache_directory())
    return [
        entry
        for entry in entries()
        if (folder is None or (entry.index and entry.index.folder == str(folder)))
        and _remove(entry)
    ]


def remove_stale() -> None:
    """Remove what killed processes have left, and unfinished entries that nobody continues."""
    remove_temporary_files(cache_directory())
    for entry in entries():
        if not entry.is_finished and time.time() - entry.last_used > UNFINISHED_SECONDS:
            remove_unlocked(entry.path)


def _remove(entry: Entry) -> bool:
    """Remove an entry; return False if another process writes it."""
    if not entry.is_finished:
        return remove_unlocked(entry.path)
    entry.path.unlink(missing_ok=True)
    return True


def map_pixels(descriptor: int, index: Index) -> mmap:
    """Map the pixels copy-on-write."""
    flags = MAP_PRIVATE | MAP_NORESERVE
    return mmap(descriptor, index.pixel_bytes, flags, PROT_READ | PROT_WRITE)


def read_index(descriptor: int, expected_magic: bytes = MAGIC) -> Index | None:
    """Return the index of an entry with these magic bytes, else None."""
    size = os.fstat(descriptor).st_size
    if size < TRAILER.size:
        return None
    magic, length = TRAILER.unpack(os.pread(descriptor, TRAILER.size, size - TRAILER.size))
    start = size - TRAILER.size - length
    if magic != expected_magic or start <= 0:
        return None
    index = _parse(os.pread(descriptor, length, start))
    return index if index and index.pixel_bytes + index.extra_bytes == start else None


def _parse(content: bytes) -> Index | None:
    try:
        # Not by msgspec: file names that are not UTF-8 are written with lone surrogates.
        return msgspec.convert(json.loads(content), Index)
    except (ValueError, RecursionError):
        return None


def encoded(index: Index, magic: bytes = MAGIC) -> bytes:
    """Return an index and the trailer, as they end an entry."""
    content = json.dumps(asdict(index)).encode()
    return content + TRAILER.pack(magic, len(content))


def make_room(size: int) -> None:
    """Evict the least recently used entries until `size` more bytes are within the limits.

    Raises:
        OSError: there is not enough space.
    """
    free = shutil.disk_usage(cache_directory()).free
    taken = sum(path.stat().st_size for path in cache_directory().glob(TEMPORARY))
    evictable = entries()
    taken += sum(entry.bytes for entry in evictable)
    if free + sum(entry.bytes for entry in evictable) < size + FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(cache_directory()))
    while evictable and (taken + size > LIMIT_BYTES or free < size + FREE_BYTES):
        oldest = evictable.pop()
        if _remove(oldest):
            taken, free = taken - oldest.bytes, free + oldest.bytes
