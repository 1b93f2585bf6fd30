"""Class-activation heatmaps: which parts of an image speak for a class."""

from typing import Annotated

import msgspec
from msgspec import Meta

MAX_SIDE = 16
"""Cells; finer heatmaps are averaged down."""

Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]


class Heatmap(msgspec.Struct, frozen=True, kw_only=True):
    """A coarse grid over a whole image, brightest where the image speaks most for the class.

    Raises:
        ValueError: the values do not fit the shape.
    """

    values: bytes
    """uint8 [height, width]: 0 where nothing speaks for the class, 255 for the most of the image;
    all 0 if nothing in the image does."""

    width: Side
    height: Side

    def __post_init__(self) -> None:
        if len(self.values) != self.width * self.height:
            raise ValueError("the values of a heatmap do not fit its shape")
