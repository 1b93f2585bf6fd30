"""Scales maps down."""

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d


def downscale(values: Tensor, max_side: int) -> Tensor:
    """Return a copy of maps [n, C, H, W], averaged to sides of at most `max_side`."""
    height, width = values.shape[2:]
    if max(height, width) <= max_side:
        return values.clone()
    scale = max_side / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return adaptive_avg_pool2d(values, size)
