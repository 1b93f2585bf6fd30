"""Small pictures of a data set's images, as files of a run save them."""

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypedDict

from torch import Tensor
from torch.nn.functional import interpolate

from cnn_engine.data.dataset import DataSet
from cnn_engine.results.heatmap import Heatmap
from cnn_engine.results.pictures import MAX_SIDE

Explain: TypeAlias = Callable[[Tensor, Tensor], Sequence[Heatmap | None]]
"""Returns for images at indices, int64 [n], heatmaps of what speaks for classes, int64 [n]."""


def without_heatmaps(indices: Tensor, classes: Tensor) -> Sequence[Heatmap | None]:  # noqa: ARG001
    """Return None for each image, where no model is at hand."""
    return [None] * len(indices)


class PictureFields(TypedDict):
    """Fields of `SavedPicture`."""

    pixels: bytes
    width: int
    height: int
    channels: int


def picture_bytes(data: DataSet) -> int:
    """Return the size in bytes of the picture of one image."""
    height, width = _sides(data)
    return height * width * data.images.shape[3]


def picture_fields(data: DataSet, index: int) -> PictureFields:
    """Return the picture of an image, scaled down if it is large."""
    height, width = sides = _sides(data)
    pixels = _resized(data.images[index], sides).numpy().tobytes()
    return {
        "pixels": pixels,
        "width": width,
        "height": height,
        "channels": data.images.shape[3],
    }


def _sides(data: DataSet) -> list[int]:
    """Return height and width of the pictures of a data set."""
    return [min(side, MAX_SIDE) for side in data.images.shape[1:3]]


def _resized(image: Tensor, sides: list[int]) -> Tensor:
    """Return an image, uint8 [H, W, C], resized with antialiasing to `sides`: height, width."""
    if list(image.shape[:2]) == sides:
        return image.contiguous()
    planes = image.permute(2, 0, 1)[None].float()
    smaller = interpolate(planes, sides, mode="bilinear", antialias=True)
    return smaller[0].round().clamp(0, 255).byte().permute(1, 2, 0).contiguous()
