"""Decoded folders of images, kept between runs so that the next one has them at once.

An entry is one file: the pixels, which can be mapped as they are; an index in JSON, which says what
they are and of which state of which folder; and a trailer, which says how long the index is. It
is written under another name, held by a lock, and gets its own once it is whole and on disk. So
a process that is killed leaves only a file that nobody holds, which the next one removes. An
entry that is removed while another process has it mapped stays until that one ends.

Errors of the file system are raised as `OSError`; whoever calls can do without the cache.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import struct
import sys
import tempfile
from dataclasses import asdict, dataclass
from mmap import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, mmap
from pathlib import Path
from typing import Self

from platformdirs import user_cache_path

LIMIT_BYTES = 20 << 30
"""What all entries may take together; only a single one may be larger than that."""

FREE_BYTES = 2 << 30
"""What the cache leaves free on the disk."""

TRAILER = struct.Struct("<8sQ")
"""The mark, and the length of the index in bytes."""

MARK = b"cnn-tui1"

MAP_NORESERVE = 0x4000 if sys.platform == "linux" else 0
"""Linux otherwise refuses a private map larger than memory. (Python 3.11's mmap lacks the name.)"""

ZEROS = bytes(1 << 20)


@dataclass(frozen=True, kw_only=True)
class Index:
    """What an entry's pixels are."""

    folder: str
    """Absolute path of the folder they come from."""

    listing: str
    """Identifies the state that the folder was in."""

    shape: tuple[int, int, int, int]
    """[N, H, W, C] of the pixels, which are uint8."""

    unreadable: tuple[tuple[int, str], ...]
    """Files without pixels: the position in the listing, and the reason."""

    @property
    def pixel_bytes(self) -> int:
        """How many bytes the pixels take."""
        count, height, width, channels = self.shape
        return count * height * width * channels


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of the cache."""

    path: Path

    bytes: int
    """Its size."""

    last_used: float
    """Unix time."""

    index: Index | None
    """None where it is damaged, or of another version."""


def cache_directory() -> Path:
    """Where the entries are."""
    return user_cache_path("cnn-tui") / "images"


def entry_path(folder: Path, *decoding: object) -> Path:
    """Where the entry of a folder is, decoded in this way."""
    text = json.dumps([str(folder), *map(str, decoding)])
    return cache_directory() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.pixels"


def entries() -> list[Entry]:
    """All entries, the last used first."""
    found = []
    for path in cache_directory().glob("*.pixels"):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            status = os.fstat(file.fileno())
            index = _read_index(file.fileno())
            used = status.st_mtime
            found.append(Entry(path=path, bytes=status.st_size, last_used=used, index=index))
    return sorted(found, key=lambda entry: entry.last_used, reverse=True)


def open_entry(path: Path, listing: str) -> tuple[Index, mmap] | None:
    """The pixels, if they are there, whole, and of this state of the folder."""
    try:
        with path.open("rb") as file:
            index = _read_index(file.fileno())
            if index is None or index.listing != listing:
                return None
            pixels = _map(file.fileno(), index)
    except OSError:
        return None  # it is decoded anew, and whoever writes it is told what is wrong
    with contextlib.suppress(OSError):  # where it may not be noted, another one is evicted first
        os.utime(path)
    return index, pixels


def clear(folder: Path | None = None) -> list[Entry]:
    """Remove all entries, or those of one folder; what was removed.

    Raises:
        OSError: one cannot be removed.
    """
    _sweep()
    removed = []
    for entry in entries():
        if folder is None or (entry.index and entry.index.folder == str(folder)):
            entry.path.unlink(missing_ok=True)
            removed.append(entry)
    return removed


class NewEntry:
    """An entry in the making, removed unless it is kept.

    Raises:
        OSError: there is no room for it, or it cannot be written.
    """

    def __init__(self, path: Path, size: int) -> None:
        """Make room for `size` bytes of pixels, in place of an older entry of the same name."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        _sweep()
        _make_room(size)
        self._descriptor, self._temporary = _create_held(path.parent)
        self._is_kept = False
        try:
            _reserve(self._descriptor, size)
            self.pixels = mmap(self._descriptor, size, MAP_SHARED, PROT_READ | PROT_WRITE)
            """To be filled in; zeros at first."""
        except BaseException:
            self.close()
            raise

    def keep(self, index: Index) -> mmap:
        """Make what is in `pixels` the entry, as far as the index says; it, mapped anew.

        Raises:
            OSError: it cannot be written.
        """
        content = json.dumps(asdict(index)).encode()
        content += TRAILER.pack(MARK, len(content))
        self.pixels.flush()
        os.pwrite(self._descriptor, content, index.pixel_bytes)
        os.ftruncate(self._descriptor, index.pixel_bytes + len(content))
        os.fsync(self._descriptor)
        pixels = _map(self._descriptor, index)
        self._temporary.replace(self._path)
        self._is_kept = True
        return pixels

    def close(self) -> None:
        """Give up what has not been kept."""
        if not self._is_kept:
            self._temporary.unlink(missing_ok=True)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _map(descriptor: int, index: Index) -> mmap:
    """The pixels so that writing to them changes a copy, and needs no memory before."""
    flags = MAP_PRIVATE | MAP_NORESERVE
    return mmap(descriptor, index.pixel_bytes, flags, PROT_READ | PROT_WRITE)


def _read_index(descriptor: int) -> Index | None:
    """The index, if the file is whole."""
    size = os.fstat(descriptor).st_size
    if size < TRAILER.size:
        return None
    mark, length = TRAILER.unpack(os.pread(descriptor, TRAILER.size, size - TRAILER.size))
    start = size - TRAILER.size - length
    if mark != MARK or start <= 0:
        return None
    index = _parse(os.pread(descriptor, length, start))
    return index if index and index.pixel_bytes == start else None


def _parse(content: bytes) -> Index | None:
    try:
        values = json.loads(content)
        count, height, width, channels = map(int, values["shape"])
        return Index(
            folder=str(values["folder"]),
            listing=str(values["listing"]),
            shape=(count, height, width, channels),
            unreadable=tuple((int(where), str(why)) for where, why in values["unreadable"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


def _sweep() -> None:
    """Remove what killed processes left: unfinished entries that nobody holds."""
    for path in cache_directory().glob("*.tmp"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _make_room(size: int) -> None:
    """Evict entries, the least recently used first, until `size` bytes more are within bounds."""
    free = shutil.disk_usage(cache_directory()).free
    taken = sum(path.stat().st_size for path in cache_directory().glob("*.tmp"))
    kept = entries()
    taken += sum(entry.bytes for entry in kept)
    if free + sum(entry.bytes for entry in kept) < size + FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(cache_directory()))
    while kept and (taken + size > LIMIT_BYTES or free < size + FREE_BYTES):
        oldest = kept.pop()
        oldest.path.unlink(missing_ok=True)
        taken, free = taken - oldest.bytes, free + oldest.bytes


def _create_held(folder: Path) -> tuple[int, Path]:
    """A new file, locked as long as its descriptor is open, and its path."""
    while True:
        descriptor, name = tempfile.mkstemp(suffix=".tmp", dir=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            Path(name).unlink(missing_ok=True)
            raise
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)  # before it was locked, another process took it for left over


def _reserve(descriptor: int, size: int) -> None:
    """Have the disk set `size` bytes aside: writing to a map of a full disk would kill us."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    for start in range(0, size, len(ZEROS)):  # macOS
        os.pwrite(descriptor, ZEROS[: size - start], start)
