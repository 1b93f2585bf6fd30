"""From an opened image to the pixels that a model takes; all it needs is Pillow and numpy.

`cnn-tui export` puts a copy of this file beside a model: whoever uses it elsewhere prepares images
as training did, by the same code.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps


def pixels(image: Image.Image, size: int, channels: int) -> NDArray[np.uint8]:
    """The image as uint8 [size, size, channels]; channels are 1 for grey or 3 for colour.

    The shorter side is scaled to `size` and the middle square kept. Of an animation the first
    frame is taken; what is transparent becomes white; rotation noted by a camera is applied.
    """
    mode = "RGB" if channels == 3 else "L"
    if min(image.size) >= 2 * size:
        image.draft(mode, (2 * size, 2 * size))  # JPEG: decode at a fraction of the size
    upright = ImageOps.exif_transpose(image) if image.getexif() else image
    colored = _in_mode(upright, mode)
    if colored.size != (size, size):
        colored = ImageOps.fit(colored, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(colored).reshape(size, size, channels)


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
