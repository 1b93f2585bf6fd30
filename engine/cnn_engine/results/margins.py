"""Margins of each training image in each epoch: `margins.bin` in a run's directory.

The margin is the logit of an image's given class minus the largest logit of the others; it is
negative if the image is misclassified. Images that keep a small margin while others are learned
probably have a wrong label (G. Pleiss and others, 2020, arXiv:2001.10528).

The file is a line of JSON, padded to `HEADER_BYTES`, and one record per epoch at a fixed offset,
so that an epoch that is trained again overwrites its record. A record has `row_bytes` bytes per
training image, in the order of the data set's training images::

    margin     uint8: 128 + 16 asinh(margin), from 1 to 255; 0 if it was not recorded
    strongest  the other class with the largest logit: uint8, or uint16 (little-endian) with more
               than 256 classes
"""

import json
import math
import os
import stat
from pathlib import Path
from typing import NamedTuple

import msgspec

from cnn_engine.errors import DataError
from cnn_engine.storage.json_files import Count, PositiveCount, read_json_header

MARGINS_FILE = "margins.bin"
FORMAT = 1

HEADER_BYTES = 512

MAX_BYTES = 64_000_000
"""Records of later epochs are not written: 640 epochs of 50,000 images, or 16 of 1.28 million. The
first epochs tell most: later ones memorize wrong labels too."""

MAX_CLASSES = 2**16
NOT_RECORDED, ZERO, SCALE = 0, 128, 16
"""Byte of a margin that was not recorded, that of a margin of 0, and steps per unit of asinh."""

LARGEST = 127
"""Steps of the largest margin, ±1,400; larger ones are clipped."""

MARGINS = (math.nan, *(math.sinh((byte - ZERO) / SCALE) for byte in range(1, 256)))
"""Margin of each byte; NaN if it was not recorded."""


class MarginsHeader(msgspec.Struct, frozen=True, kw_only=True):
    """First line of the file."""

    format: int = FORMAT

    images: PositiveCount
    """Training images."""

    classes: Count

    digest: str
    """Digest of the training images' names and labels; see `DataSet.train_digest`."""

    @property
    def row_bytes(self) -> int:
        """Bytes per image and epoch."""
        return row_bytes(self.classes)

    @property
    def record_bytes(self) -> int:
        """Bytes per epoch."""
        return self.images * self.row_bytes

    @property
    def max_epochs(self) -> int:
        """Epochs that are recorded at most."""
        return MAX_BYTES // self.record_bytes

    def to_bytes(self) -> bytes:
        """Return the first line, padded."""
        line = json.dumps(msgspec.to_builtins(self), separators=(",", ":")).encode()
        return line.ljust(HEADER_BYTES - 1) + b"\n"


class Margins(NamedTuple):
    """Records of the first epochs."""

    header: MarginsHeader

    records: bytes
    """uint8 [epochs, images, row_bytes]."""


def row_bytes(classes: int) -> int:
    """Return the bytes per image and epoch with this number of classes."""
    return 2 if classes <= 256 else 3


def are_recordable(images: int, classes: int) -> bool:
    """Return True if an epoch of these images fits the file's limits."""
    return 2 <= classes <= MAX_CLASSES and 0 < images * row_bytes(classes) <= MAX_BYTES


def write_epoch(path: Path, header: MarginsHeader, epoch: int, record: bytes) -> None:
    """Write the record of an epoch, counted from 1; do nothing after the last one recorded.

    A file of other images is replaced.

    Raises:
        OSError: it cannot be written.
    """
    if epoch > header.max_epochs:
        return
    first = header.to_bytes()
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(None, "is not a regular file")
        if os.pread(descriptor, HEADER_BYTES, 0) != first:
            os.ftruncate(descriptor, 0)
            _write(descriptor, first, 0)
        _write(descriptor, record, HEADER_BYTES + (epoch - 1) * header.record_bytes)
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes, offset: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, offset)
        content, offset = content[written:], offset + written


def read_margins(path: Path, epochs: int) -> Margins:
    """Read the records of the first `epochs` epochs, or of fewer if there are fewer.

    Raises:
        DataError: the file is missing or damaged, or none of the epochs is recorded.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    header, rest = read_json_header(
        path, MarginsHeader, format_=FORMAT, max_bytes=HEADER_BYTES + MAX_BYTES
    )
    if not are_recordable(header.images, header.classes):
        raise DataError(f"{path}: is damaged: its first line does not fit cnn-tui's limits")
    count = min(epochs, len(rest) // header.record_bytes)
    if count < 1:
        raise DataError(f"{path}: has no finished epoch yet")
    return Margins(header, rest[: count * header.record_bytes])
