"""Decoding of an image file to pixels of a given size."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from cnn_engine.data import preprocess
from cnn_engine.data.content_type import describe_content
from cnn_engine.data.memory_budget import MemoryBudget
from cnn_engine.data.preprocess import Fit
from cnn_engine.data.raw import Pixels

T = TypeVar("T")

SINGLE_READ_BYTES = 1 << 20
"""Files up to this size are read with one call, because Pillow's many small reads are slow."""

PERMANENT_ERRORS = (None, errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP)
"""Error numbers after which reading the file again would fail too."""

PIXEL_BYTES, CONVERTED_PIXEL_BYTES = 8, 16
"""Bytes per pixel that decoding needs at most: without, and with transparency or 16-bit grey."""

COEFFICIENT_BYTES = 6
"""Bytes per pixel that libjpeg keeps of a progressive JPEG, whatever size it is decoded at."""

_memory = MemoryBudget()


class Unreadable(Exception):  # noqa: N818 - the reason is the message
    """The file is not a usable image."""

    def __init__(self, reason: str, *, is_permanent: bool = True) -> None:
        """Take the reason; `is_permanent` is False if reading again may help (a disk error)."""
        super().__init__(reason)
        self.is_permanent = is_permanent


def image_size(path: str | Path) -> tuple[int, int]:
    """Return width and height in pixels, from the file's header.

    Raises:
        Unreadable: it is not an image, or too large.
    """
    return read_image(path, lambda image: image.size)


def decode(
    path: str | Path,
    size: int,
    channels: int,
    fit: Fit = "crop",
    max_value: float | None = None,
) -> Pixels:
    """Return the image as uint8 [size, size, channels]; see `preprocess.pixels`.

    Raises:
        Unreadable: it is not an image, damaged, or too large.
    """

    def pixels(image: Image.Image) -> Pixels:
        with memory_reserved(image):
            return preprocess.pixels(image, size, channels, fit, max_value)

    return read_image(path, pixels)


def read_image(path: str | Path, use: Callable[[Image.Image], T]) -> T:
    """Open an image and return `use(image)`; it may be called again, without the metadata.

    Raises:
        Unreadable: the file is not a usable image, or `use` raised an error.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - no Path, as there may be millions of files
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe may block forever.
            raise Unreadable("is not a regular file")
        return preprocess.with_image(_content(path, status.st_size), use)
    except (Unreadable, MemoryError):
        raise
    except UnidentifiedImageError:
        raise Unreadable(describe_content(path)) from None
    except Exception as error:  # noqa: BLE001 - decoders may raise anything on damaged files
        is_permanent = getattr(error, "errno", None) in PERMANENT_ERRORS
        raise Unreadable(_reason(error), is_permanent=is_permanent) from None


def _content(path: str | Path, size: int) -> str | Path | bytes:
    """Return the content of a small file, the path of a large one."""
    if size > SINGLE_READ_BYTES:
        return path
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read()


def share_memory(budget: MemoryBudget) -> None:
    """Use a budget of several processes in this one."""
    global _memory  # noqa: PLW0603 - one per process
    _memory = budget


def memory_reserved(image: Image.Image) -> AbstractContextManager[None]:
    """Return a block in which an opened image is decoded; large ones wait for others."""
    return _memory.reserved(_decoding_bytes(image))


def _decoding_bytes(image: Image.Image) -> int:
    """Return the memory that decoding an opened image needs at most."""
    count = image.width * image.height
    if image.format == "JPEG":
        # Others are decoded row by row, at a fraction of their size.
        return count * COEFFICIENT_BYTES if "progressive" in image.info else 0
    is_converted = image.has_transparency_data or preprocess.has_deep_pixels(image)
    return count * (CONVERTED_PIXEL_BYTES if is_converted else PIXEL_BYTES)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
