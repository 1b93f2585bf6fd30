"""Small pictures saved in files of a run's directory, with their pixels in base64."""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from cnn_engine.results.heatmap import Heatmap

MAX_SIDE = 64
"""Pixels; larger images are scaled down."""

MAX_PIXEL_BYTES = 2_000_000
"""Maximum size of all pixels in a file: 651 images of 32×32, or 162 of 64×64."""

MAX_BYTES = 20_000_000
"""Files larger than the engine ever writes are refused."""

Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]


class SavedPicture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A small image, perhaps with a heatmap.

    Raises:
        ValueError: the pixels do not fit the shape, or the shape is not that of an image.
    """

    pixels: bytes
    """uint8 [height, width, channels]."""

    width: Side
    height: Side

    channels: Annotated[int, Meta(ge=1, le=3)]
    """1 for grey, 3 for colour."""

    heatmap: Heatmap | None = None
    """Parts of the image that speak for the predicted class; None in files of older versions, and
    for networks without feature maps."""

    def __post_init__(self) -> None:
        if len(self.pixels) != self.width * self.height * self.channels:
            raise ValueError("the pixels of an image do not fit its shape")
        if self.channels == 2:
            raise ValueError("an image has neither one nor three channels")


def check_one_size(pictures: Iterable[SavedPicture]) -> None:
    """Raise ValueError if the pictures of a file differ in size."""
    if len({(picture.width, picture.height) for picture in pictures}) > 1:
        raise ValueError("its images differ in size")


def max_pictures(image_bytes: int, limit: int) -> int:
    """Return the number of pictures of `image_bytes` bytes that a file may hold, up to `limit`."""
    return min(limit, MAX_PIXEL_BYTES // max(1, image_bytes))
