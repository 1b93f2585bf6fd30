"""Cutout (T. DeVries and G. Taylor, 2017, arXiv:1708.04552) of squares within the image."""

import torch
from torch import Tensor


def cut_out(pixels: Tensor, y: Tensor, x: Tensor, size: int, fill: Tensor) -> Tensor:
    """Return the images, each with a filled square, uint8 [M, H, W, C].

    Args:
        pixels: uint8 [M, H, W, C].
        y: int64 [M], top row of the square.
        x: int64 [M], left column of the square.
        size: Side of the square in pixels; 0 for none.
        fill: uint8 [C].
    """
    if not size:
        return pixels
    height, width = pixels.shape[1:3]
    inside = _is_inside(height, y, size)[:, :, None, None]
    inside = inside & _is_inside(width, x, size)[:, None, :, None]
    return torch.where(inside, fill, pixels)


def _is_inside(count: int, first: Tensor, size: int) -> Tensor:
    """Return which of `count` rows (or columns) the square covers, bool [M, count]."""
    positions = torch.arange(count, device=first.device) - first[:, None]
    return (positions >= 0) & (positions < size)
