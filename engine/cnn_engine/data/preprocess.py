"""From an opened image to the pixels that a model takes; all it needs is Pillow and numpy.

`cnn-tui export` puts a copy of this file beside a model: whoever uses it elsewhere prepares images
as training did, by the same code.
"""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps

Fit: TypeAlias = Literal["crop", "pad", "stretch"]
"""How an image that is no square is made one."""

PADDING = "#808080"
"""What surrounds an image that is padded: it becomes nearly 0 when it is normalised."""


def pixels(image: Image.Image, size: int, channels: int, fit: Fit = "crop") -> NDArray[np.uint8]:
    """The image as uint8 [size, size, channels]; channels are 1 for grey or 3 for colour.

    Of an animation the first frame is taken; what is transparent becomes white; rotation noted by
    a camera is applied. `crop` scales the shorter side to `size` and keeps the middle square; `pad`
    scales the longer side and fills up with grey; `stretch` scales each side by itself.
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
    """The image in grey (`L`) or colour (`RGB`), whatever its own pixels are."""
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
