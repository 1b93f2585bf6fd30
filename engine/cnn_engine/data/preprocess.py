"""Preprocessing of an opened image to the pixels a model takes, with Pillow and NumPy only.

`cnn-tui export` copies this file next to a model, so that images are preprocessed by the same code
as in training.
"""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

Fit: TypeAlias = Literal["crop", "pad", "stretch"]
"""Way to make an image square."""

PADDING = "#808080"
"""Colour of the padding; nearly 0 after normalization."""


def pixels(image: Image.Image, size: int, channels: int, fit: Fit = "crop") -> NDArray[np.uint8]:
    """Return the image as uint8 [size, size, channels].

    Only the first frame of an animation is used, transparency becomes white, and the EXIF rotation
    is applied.

    Args:
        image: An opened image.
        size: Side in pixels.
        channels: 1 for grey, 3 for colour.
        fit: `crop` scales the shorter side and keeps the central square; `pad` scales the longer
            side and adds grey borders; `stretch` scales both sides independently.
    """
    mode = "RGB" if channels == 3 else "L"
    if min(image.size) >= 2 * size:
        image.draft(mode, (2 * size, 2 * size))  # JPEG: decode at a fraction of the size
    upright = ImageOps.exif_transpose(image) if image.getexif() else image
    colored = in_mode(upright, mode)
    if colored.size != (size, size):
        colored = _fitted(colored, size, fit)
    return np.asarray(colored).reshape(size, size, channels)


def _fitted(image: Image.Image, size: int, fit: Fit) -> Image.Image:
    match fit:
        case "crop":
            return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        case "pad":
            grey = ImageColor.getcolor(PADDING, image.mode)
            return ImageOps.pad(image, (size, size), Image.Resampling.BILINEAR, grey)
        case "stretch":
            return image.resize((size, size), Image.Resampling.BILINEAR)


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Return the image in mode `L` (grey) or `RGB`."""
    if image.mode == mode:
        return image.copy() if image.readonly else image
    if image.mode.startswith("I"):
        # 16-bit pixels: Pillow's conversion clips instead of scaling.
        wide = np.asarray(image).astype(np.float32)
        image = Image.fromarray((wide / 257).clip(0, 255).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)
