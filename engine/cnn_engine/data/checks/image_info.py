"""Facts about an image file: readable or not, size, format and a miniature."""

import hashlib
from typing import NamedTuple

import numpy as np
from PIL import Image

from cnn_engine.data.decode import Unreadable, memory_reserved, read_image
from cnn_engine.data.preprocess import (
    default_max_value,
    has_deep_pixels,
    max_value_of,
    orientation,
    raw_mode_of,
    upright_in_mode,
)

MINIATURE = (18, 16)
"""Width and height of the grey miniature that near duplicates are found by."""

DRAFT = (64, 64)
"""Minimum size that JPEGs are decoded at."""


class ImageInfo(NamedTuple):
    """A readable image file. There may be millions, so it is small."""

    width: int
    height: int
    """Pixels, after the EXIF rotation is applied."""

    format: str
    """Pillow's name for the content's format, such as `JPEG`; the extension may differ."""

    mode: str
    """Pillow's pixel mode, such as `RGB`."""

    max_value: float
    """Greatest value of an image with more than 8 bits; 0 for others."""

    white: float
    """Value that is white by default in an image with 10 to 16 bits; 0 for others."""

    is_transparent: bool
    is_turned: bool
    """True if the EXIF orientation is not upright."""

    is_animated: bool

    digest: bytes
    """MD5 of the content, to find equal files; empty if not requested."""

    miniature: bytes
    """Grey uint8 [MINIATURE height, width]."""

    @property
    def needs_max_value(self) -> bool:
        """True for 32 bits, which a run uses only with `data.max_value`."""
        return self.mode in {"F", "I"} and not self.white


def inspect_image(path: str, *, with_digest: bool) -> ImageInfo | str:
    """Read and decode a file; return its info, or the reason why it cannot be used."""
    try:
        info = read_image(path, _info)
        return info._replace(digest=_digest(path)) if with_digest else info
    except Unreadable as error:
        return str(error)
    except OSError as error:  # the second read can fail although the first did not
        return error.strerror or str(error)


def _info(image: Image.Image) -> ImageInfo:
    """Return the info of an opened image, without the digest.

    Raises:
        Unsuitable: a run cannot use it.
    """
    mode, size, raw_mode = image.mode, image.size, raw_mode_of(image)
    is_animated = _is_animated(image)
    # Pillow turns a TIFF itself: its size when it is opened, its pixels when they are loaded.
    is_turned_tiff = image.format == "TIFF" and orientation(image) != 1
    image.draft("L", DRAFT)
    with memory_reserved(image):
        image.load()
        turn = orientation(image)
        max_value, white = _value_range(image, raw_mode)
        # Stretched, as by a run with `data.max_value`.
        grey = upright_in_mode(image, "L", raw_mode, max_value or 1)
        miniature = grey.resize(MINIATURE, Image.Resampling.BOX)
    width, height = reversed(size) if turn >= 5 else size
    return ImageInfo(
        width=width,
        height=height,
        format=image.format or "",
        mode=mode,
        max_value=max_value,
        white=white,
        is_transparent=image.has_transparency_data,
        is_turned=is_turned_tiff or turn != 1,
        is_animated=is_animated,
        digest=b"",
        miniature=miniature.tobytes(),
    )


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the first frame is used, even if the next one is damaged
        return True


def _value_range(image: Image.Image, raw_mode: str) -> tuple[float, float]:
    """Return the greatest value of a loaded image and the one that is white; 0 for 8 bits."""
    if has_deep_pixels(image):
        return max_value_of(image), default_max_value(image, raw_mode)
    if ";16" in raw_mode:  # of which Pillow keeps the upper 8 bits
        return int(np.asarray(image)[..., :3].max()) * 256 + 255, 65_535
    return 0, 0


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - there may be millions
        return hashlib.file_digest(file, "md5").digest()
