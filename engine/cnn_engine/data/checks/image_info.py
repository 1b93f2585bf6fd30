"""What there is to know of one image file before it is used: can it be read, and what is it."""

import hashlib
from typing import NamedTuple

from PIL import Image, ImageOps

from cnn_engine.data.decode import Unreadable, opened, refuse_unsuitable
from cnn_engine.data.preprocess import in_mode

MINIATURE = (18, 16)
"""Width and height of the grey miniature that likeness is judged by."""

DRAFT = (64, 64)
"""A JPEG is decoded at the least size that is no smaller."""


class ImageInfo(NamedTuple):
    """A readable image file. There may be millions, so it is small."""

    width: int
    height: int
    """In pixels, once it is turned upright."""

    format: str
    """Of its content, as Pillow names it, such as `JPEG`; its name may say another."""

    mode: str
    """Of its pixels, as Pillow names it, such as `RGB`."""

    is_transparent: bool
    is_turned: bool
    """A camera noted that it is to be turned upright."""

    is_animated: bool

    digest: bytes
    """Of its content, to find equal files; empty where it was not asked for."""

    miniature: bytes
    """Grey uint8, row by row, of the size `MINIATURE`."""


def inspect_image(path: str, *, with_digest: bool) -> ImageInfo | str:
    """Read and decode a file; what it is, or why it cannot be used."""
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
    except OSError as error:  # read once, and then not a second time
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
"""The tag of EXIF that says how the camera was held: 1 is upright, 5 to 8 are quarter turns."""


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - there may be millions
        return hashlib.file_digest(file, "md5").digest()
