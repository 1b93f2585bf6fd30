"""Images in a folder, with class folders or a table, decoded once and then mapped from a cache."""

import math
import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
import PIL
from PIL import features

from cnn_engine.config.schema import DataConfig
from cnn_engine.data import cache
from cnn_engine.data.continued_entry import open_new_entry
from cnn_engine.data.decode import Unreadable, decode, image_size
from cnn_engine.data.new_entry import NewEntry
from cnn_engine.data.raw import Pixels, RawImages
from cnn_engine.data.sizes import choose_image_size, evenly
from cnn_engine.data.sources.find_files import list_files
from cnn_engine.data.sources.listing import ImageFile, Listing
from cnn_engine.data.waiting import wait_for_all
from cnn_engine.errors import DataError
from cnn_engine.progress import Progress
from cnn_engine.system.environment_diff import DECODING_NAMES
from cnn_engine.system.threads import choose_threads

DECODING_VERSION = 2
"""Version of `decode`; increase it if it changes pixels."""

DECODING = f"{DECODING_VERSION}, Pillow {PIL.__version__}"
"""Version of the pixels, part of the cache key."""

CHUNK = 200
"""Files per task of a thread."""

BLOCK_BYTES = 1 << 24
"""Bytes of pixels moved at a time."""

SMALL_BYTES = 1 << 14
"""Mean file size below which a single thread decodes: most time is then spent in Python, and
waiting for the GIL was measured to cost 50 %."""

MAX_LISTED = 10
"""Maximum number of unreadable files listed in a message."""


def read(config: DataConfig, progress: Progress) -> RawImages:
    """Read the images of the folder `path`, which `list_files` finds.

    Raises:
        ConfigError: the config names a column that the table of labels does not have.
        DataError: there are no classes or no images, or some are unreadable and the config says
            to stop.
    """
    listing = list_files(config, progress)
    size, size_reason = config.image_size, ""
    if size is None:
        size, size_reason = choose_image_size(_sample_sizes(listing.files))
    decoded = _from_cache_or_decoded(listing, config, size, progress)
    reasons = decoded.reasons
    if reasons and config.unreadable == "stop":
        raise _unreadable_error(listing.files, reasons)
    train_count, val_count = _readable_counts(listing, reasons)
    labels = np.array([file.label for file in listing.files], dtype=np.int64)
    return RawImages(
        images=decoded.images,
        labels=np.delete(labels, list(reasons)),
        classes=listing.classes,
        train_count=train_count,
        val_count=val_count,
        source=f"images in {listing.root}"
        + (f", labels in {config.table}" if config.table else ""),
        paths=_paths(listing, reasons),
        files_digest=listing.files_digest(reasons),
        decoding=_decoding(),
        skipped=_reason_texts(listing.files, reasons),
        notices=listing.notices + decoded.notices + ((size_reason,) if size_reason else ()),
    )


def _decoding() -> dict[str, str]:
    """Return the versions that pixels depend on, by the names in `DECODING_NAMES`."""
    turbo = features.version_feature("libjpeg_turbo")
    libjpeg = f"turbo {turbo}" if turbo else str(features.version_codec("jpg"))
    versions = (PIL.__version__, libjpeg, str(DECODING_VERSION))
    return dict(zip(DECODING_NAMES, versions, strict=True))


def _paths(listing: Listing, unreadable: Collection[int]) -> tuple[str, ...]:
    """Return the paths of the readable files, relative to the root."""
    return tuple(
        path for position, path in enumerate(listing.relative_paths()) if position not in unreadable
    )


def _readable_counts(listing: Listing, unreadable: Collection[int]) -> tuple[int, int]:
    """Return the numbers of readable training and validation images."""
    train, end = listing.train_count, listing.train_count + listing.val_count
    unreadable_train = sum(position < train for position in unreadable)
    unreadable_val = sum(train <= position < end for position in unreadable)
    return train - unreadable_train, listing.val_count - unreadable_val


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    """Decoded files of a listing."""

    images: Pixels
    """uint8 [M, size, size, C], readable files in order."""

    reasons: dict[int, str]
    """Reasons of the unreadable files, by position in the listing."""

    notices: tuple[str, ...] = ()


def _from_cache_or_decoded(
    listing: Listing, config: DataConfig, size: int, progress: Progress
) -> _Decoded:
    channels = config.channels or 3
    folder = listing.root.resolve()
    # Images in class folders and in tables are in different orders.
    source = (folder, "csv") if config.source == "csv" else (folder,)
    path = cache.entry_path(*source, size, channels, config.fit, config.max_value, DECODING)
    digest = listing.digest()
    shape = (len(listing.files), size, size, channels)
    index = cache.Index(folder=str(folder), listing=digest, shape=shape, unreadable=())
    while (found := cache.open_entry(path, digest)) is None:
        ids = listing.ids()
        try:
            entry = open_new_entry(path, index, ids, progress)
        except OSError as error:
            images = np.zeros(shape, dtype=np.uint8)
            failures = _decode_all(listing.files, images, range(len(images)), config, progress)
            images = _without(images, failures.reasons)
            return _Decoded(
                images=images, reasons=failures.reasons, notices=(_cache_notice(error),)
            )
        if entry is not None:
            with entry:
                return _decoded_into(entry, path, ids, listing.files, config, progress)
    index, pixels = found
    return _Decoded(images=_array(pixels, index.shape), reasons=dict(index.unreadable))


def _decoded_into(  # noqa: PLR0913, PLR0917 - of the entry, and of the files
    entry: NewEntry,
    path: Path,
    ids: Sequence[bytes],
    files: list[ImageFile],
    config: DataConfig,
    progress: Progress,
) -> _Decoded:
    """Decode the files whose images an entry lacks, and make a complete entry of it."""
    missing = entry.missing(ids, progress)
    failures = _decode_all(
        files, entry.images, missing, config, progress, lambda at: entry.mark(at, ids[at])
    )
    reasons = failures.reasons
    if len(reasons) == len(files):
        entry.discard()
        return _Decoded(images=entry.images[:0], reasons=reasons)
    try:
        index, pixels = entry.keep(path, ids, reasons, is_final=failures.are_permanent)
    except OSError as error:
        images = entry.images[: len(files) - len(reasons)]
        return _Decoded(images=images, reasons=reasons, notices=(_cache_notice(error),))
    return _Decoded(images=_array(pixels, index.shape), reasons=reasons)


def _array(pixels: mmap, shape: tuple[int, int, int, int]) -> Pixels:
    return np.frombuffer(pixels, np.uint8, math.prod(shape)).reshape(shape)


def _cache_notice(error: OSError) -> str:
    return (
        f"decoded images cannot be cached in {cache.cache_directory()} ({error.strerror}); "
        "the next run has to decode them again"
    )


def _sample_sizes(files: list[ImageFile]) -> list[tuple[int, int]]:
    """Return widths and heights of a sample of the images, from their headers."""
    sizes = []
    for position in evenly(len(files)):
        with suppress(Unreadable):  # reported when it is decoded
            sizes.append(image_size(files[position].path))
    return sizes


class _Failures(NamedTuple):
    """Files that cannot be decoded."""

    reasons: dict[int, str]
    """Reason of each, by position."""

    are_permanent: bool
    """False if reading one of them again may help."""


def _decode_all(  # noqa: PLR0913, PLR0917 - of files, images and config
    files: list[ImageFile],
    images: Pixels,
    positions: Sequence[int],
    config: DataConfig,
    progress: Progress,
    mark_decoded: Callable[[int], None] = lambda _: None,
) -> _Failures:
    """Fill images, uint8 [N, size, size, C], at some positions; return the failures.

    Args:
        files: The file of each image.
        images: The images.
        positions: Those to decode.
        config: How to decode them.
        progress: Called with the number of decoded images, including those of earlier runs.
        mark_decoded: Called with the position of each decoded image.
    """
    size, channels = images.shape[2:]
    reasons: dict[int, str] = {}
    transient: list[int] = []
    chunks = [positions[first : first + CHUNK] for first in range(0, len(positions), CHUNK)]
    earlier, done = len(files) - len(positions), [0] * len(chunks)
    stopping = Event()
    thread_count = _thread_count(files)

    def decode_chunk(number: int) -> None:
        if thread_count == 1:
            _read_ahead([files[position] for position in chunks[number]])
        for position in chunks[number]:
            if stopping.is_set():
                return
            path = files[position].path
            try:
                images[position] = decode(path, size, channels, config.fit, config.max_value)
                mark_decoded(position)
            except Unreadable as error:
                reasons[position] = str(error)
                if not error.is_permanent:
                    transient.append(position)
            done[number] += 1

    def report(_: int) -> None:
        progress("decoding images", earlier + sum(done), len(files))

    with ThreadPoolExecutor(max_workers=thread_count) as pool:
        futures = [pool.submit(decode_chunk, number) for number in range(len(chunks))]
        try:
            wait_for_all(futures, report)
        finally:
            stopping.set()
            pool.shutdown(cancel_futures=True)
    return _Failures(dict(sorted(reasons.items())), not transient)


def _without(images: Pixels, positions: Collection[int]) -> Pixels:
    """Return the images without those at `positions`; moves them in place, to save memory."""
    if not positions:
        return images
    remaining = np.delete(np.arange(len(images)), list(positions))
    step = max(1, BLOCK_BYTES // images[0].nbytes)
    for first in range(0, len(remaining), step):
        moved = remaining[first : first + step]
        images[first : first + len(moved)] = images[moved]
    return images[: len(remaining)]


def _thread_count(files: list[ImageFile]) -> int:
    mean_bytes = sum(file.stamp[0] for file in files) / len(files)
    return 1 if mean_bytes < SMALL_BYTES else choose_threads()


def _read_ahead(files: list[ImageFile]) -> None:
    """Prefetch files into the page cache, because a single thread would wait for every read.

    It halves the time for 60,000 files of 1 kB on a disk.
    """
    if not hasattr(os, "posix_fadvise"):
        return  # macOS
    for file in files:
        if file.stamp[0] <= 0:
            continue  # may be a pipe or a device, which must not be opened
        with suppress(OSError):  # decoding reports the reason
            descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)


def _reason_texts(files: list[ImageFile], reasons: dict[int, str]) -> tuple[str, ...]:
    return tuple(f"{files[position].path}: {reason}" for position, reason in reasons.items())


def _unreadable_error(files: list[ImageFile], reasons: dict[int, str]) -> DataError:
    listed = _reason_texts(files, reasons)
    more = f"; and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
    return DataError(
        f"{len(listed)} of {len(files)} image files cannot be read: "
        f"{'; '.join(listed[:MAX_LISTED])}{more}. Repair or remove them, or skip "
        "them with --set data.unreadable=skip"
    )
