"""Facts about an image file: readable or not, size, format and a miniature."""

import hashlib
from typing import NamedTuple

from PIL import Image, ImageOps

from cnn_engine.data.decode import Unreadable, opened, refuse_unsuitable
from cnn_engine.data.preprocess import in_mode

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

    is_transparent: bool
    is_turned: bool
    """True if the EXIF orientation is not upright."""

    is_animated: bool

    digest: bytes
    """MD5 of the content, to find equal files; empty if not requested."""

    miniature: bytes
    """Grey uint8 [MINIATURE height, width]."""


def inspect_image(path: str, *, with_digest: bool) -> ImageInfo | str:
    """Read and decode a file; return its info, or the reason why it cannot be used."""
    try:
        with opened(path) as image:
            refuse_unsuitable(image)
            format_, mode, size = image.format or "", image.mode, image.size
            is_transparent = image.has_transparency_data
            is_animated = getattr(image, "n_frames", 1) > 1 and image.format != "MPO"
            image.draft("L", DRAFT)
            upright = ImageOps.exif_transpose(image) if image.getexif() else image
            miniature = in_mode(upright, "L").resize(MINIATURE, Image.Resampling.BOX)
            is_turned = upright is not image and image.getexif().get(ORIENTATION, 1) != 1
            sideways = is_turned and image.getexif().get(ORIENTATION, 1) >= 5
        digest = _digest(path) if with_digest else b""
    except Unreadable as error:
        return str(error)
    except OSError as error:  # the second read can fail although the first did not
        return error.strerror or str(error)
    width, height = reversed(size) if sideways else size
    return ImageInfo(
        width=width,
        height=height,
        format=format_,
        mode=mode,
        is_transparent=is_transparent,
        is_turned=is_turned,
        is_animated=is_animated,
        digest=digest,
        miniature=miniature.tobytes(),
    )


ORIENTATION = 0x0112
"""EXIF tag of the camera's orientation: 1 is upright, 5 to 8 are quarter turns."""


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - there may be millions
        return hashlib.file_digest(file, "md5").digest()
