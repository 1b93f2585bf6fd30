"""Decoding of an image file to pixels of a given size."""

import errno
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from cnn_engine.data.preprocess import Fit, pixels
from cnn_engine.data.raw import Pixels

MAX_PIXELS = 89_000_000
"""Limit of Pillow, above which an image counts as a decompression bomb."""

FORMATS = frozenset("AVIF BMP GIF JPEG JPEG2000 MPO PNG PPM TIFF WEBP".split())
"""Formats that are decoded; for some others Pillow starts a program such as Ghostscript."""

SINGLE_READ_BYTES = 1 << 20
"""Files up to this size are read with one call, because Pillow's many small reads are slow."""

PERMANENT_ERRORS = (None, errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP)
"""Error numbers after which reading the file again would fail too."""

# Such images are refused below; a warning would be printed over the dashboard.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


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
    with opened(path) as image:
        refuse_unsuitable(image)
        return image.size


def decode(path: str | Path, size: int, channels: int, fit: Fit = "crop") -> Pixels:
    """Return the image as uint8 [size, size, channels]; see `preprocess.pixels`.

    Raises:
        Unreadable: it is not an image, damaged, or too large.
    """
    with opened(path) as image:
        refuse_unsuitable(image)
        return pixels(image, size, channels, fit)


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """Open an image; turn every error, also within the block, into `Unreadable`."""
    try:
        status = os.stat(path)  # noqa: PTH116 - no Path, as there may be millions of files
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe may block forever.
            raise Unreadable("is not a regular file")
        if status.st_size > SINGLE_READ_BYTES:
            with Image.open(path) as image:
                yield image
        else:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123
                content = file.read()
            yield Image.open(BytesIO(content))
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - decoders may raise anything on damaged files
        is_permanent = getattr(error, "errno", None) in PERMANENT_ERRORS
        raise Unreadable(_reason(error), is_permanent=is_permanent) from None


def refuse_unsuitable(image: Image.Image) -> None:
    """Raise `Unreadable` for an unsupported or too large image, from the header alone."""
    if image.format not in FORMATS:
        raise Unreadable(f"has the unsupported format {image.format}")
    if image.width * image.height > MAX_PIXELS:
        raise Unreadable(f"is too large ({image.width} × {image.height} pixels)")
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise Unreadable("has neither 8-bit nor 16-bit pixels; convert it")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "is not an image, or is damaged"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
