"""Flip and shift, fused into one gather over the pixels."""

import torch
from torch import Tensor


def flip_and_shift(
    images: Tensor, indices: Tensor, flip: Tensor, shift_y: Tensor, shift_x: Tensor
) -> Tensor:
    """Return flipped and shifted images with reflection padding, uint8 [M, H, W, C].

    Args:
        images: uint8 [N, H, W, C].
        indices: int64 [M], images to take.
        flip: bool [M], mirror horizontally.
        shift_y: int64 [M], pixels downward.
        shift_x: int64 [M], pixels to the right.
    """
    height, width, channels = images.shape[1:]
    rows = _source_positions(height, shift_y)
    columns = _source_positions(width, shift_x)
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    # One index per output pixel, so that one pass reads all images.
    row_starts = (indices[:, None] * height + rows) * width
    positions = (row_starts[:, :, None] + columns[:, None, :]).flatten()
    pixels = images.reshape(-1, channels).index_select(0, positions)
    return pixels.view(len(indices), height, width, channels)


def _source_positions(size: int, shift: Tensor) -> Tensor:
    """Return the source row (or column) of each row of shifted images, int64 [M, size]."""
    positions = (torch.arange(size, device=shift.device) - shift[:, None]).abs()
    return (size - 1) - ((size - 1) - positions).abs()
