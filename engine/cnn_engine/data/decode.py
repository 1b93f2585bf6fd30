"""One image file as pixels of a given size, whatever its own size, format and colours."""

import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cnn_engine.data.raw import Pixels

MOST_PIXELS = 89_000_000
"""Larger images are taken for decompression bombs, as Pillow does."""

FORMATS = frozenset("AVIF BMP GIF JPEG JPEG2000 MPO PNG PPM TIFF WEBP".split())
"""Only these are decoded, whatever the file's name says: for some of the others Pillow starts a
program, such as Ghostscript."""

# Pillow warns of such images, on a terminal that may show a dashboard; they are refused below.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class Unreadable(Exception):  # noqa: N818 - the reason is the message
    """The file is no image that can be used."""


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the file's header.

    Raises:
        Unreadable: it is no image.
    """
    try:
        _refuse_special(path)
        with Image.open(path) as image:
            return image.size
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - on damaged files decoders raise what they like
        raise Unreadable(_reason(error)) from None


def decode(path: Path, size: int, channels: int) -> Pixels:
    """The file's image as uint8 [size, size, channels].

    The shorter side is scaled to `size` and the middle square kept. Of an animation the first
    frame is taken; what is transparent becomes white; rotation noted by a camera is applied.

    Raises:
        Unreadable: it is no image, damaged, or far too large.
    """
    mode = "RGB" if channels == 3 else "L"
    try:
        _refuse_special(path)
        with Image.open(path) as image:
            _refuse_unsuitable(image)
            if min(image.size) >= 2 * size:
                image.draft(mode, (2 * size, 2 * size))  # JPEG: decode at a fraction of the size
            upright = ImageOps.exif_transpose(image) if image.getexif() else image
            colored = _in_mode(upright, mode)
            if colored.size != (size, size):
                colored = ImageOps.fit(colored, (size, size), Image.Resampling.BILINEAR)
            return np.asarray(colored).reshape(size, size, channels)
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - on damaged files decoders raise what they like
        raise Unreadable(_reason(error)) from None


def _refuse_special(path: Path) -> None:
    """Opening a pipe would wait for its other end, perhaps for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise Unreadable("is no regular file")


def _refuse_unsuitable(image: Image.Image) -> None:
    """Judge by the header alone, before anything is decoded."""
    if image.format not in FORMATS:
        raise Unreadable(f"is of the format {image.format}, which is not supported")
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable(f"is too large ({image.width} × {image.height} pixels)")
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise Unreadable("has pixels that are not of 8 or 16 bits; convert it")


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode:
        return image.copy() if image.readonly else image
    if image.mode.startswith("I"):
        # 16 bits a pixel; Pillow's own conversion would clip instead of scale.
        wide = np.asarray(image).astype(np.float32)
        image = Image.fromarray((wide / 257).clip(0, 255).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "is no image, or damaged"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
