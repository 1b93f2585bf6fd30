"""Normalization of pixels. All code that applies mean and standard deviation calls it."""

import torch
from torch import Tensor


def scale_and_shift(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Return float32 [C] or [1] each, with pixels · scale + shift = (pixels / 255 - mean) / std.

    Args:
        mean: One value, or one per channel, in [0, 1].
        std: Likewise.
    """
    mean_, std_ = torch.tensor(mean), torch.tensor(std)
    return 1 / (255 * std_), -mean_ / std_


def normalize(pixels: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return float32 [N, C, H, W], channels-last in memory.

    Args:
        pixels: uint8 [N, H, W, C].
        scale: float32 [C] or [1] from `scale_and_shift`; faster if expanded to [H, W, C], because
            a few channels are too short to vectorize.
        shift: Likewise.
    """
    return pixels.float().mul_(scale).add_(shift).permute(0, 3, 1, 2)
