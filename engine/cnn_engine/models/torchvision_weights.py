"""Adapts files of weights for torchvision's networks: old names, and positions of patches."""

import re

import torch
from torch import Tensor, nn

AUXILIARY_HEADS = ("AuxLogits", "aux1", "aux2")
"""Second and third classifiers of Inception v3 and GoogLeNet, which are not trained here."""

OLD_NAMES = (
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)"), r"\1\2"),  # DenseNet
    (re.compile(r"(mlp\.)linear_1\."), r"\g<1>0."),  # vision transformers
    (re.compile(r"(mlp\.)linear_2\."), r"\g<1>3."),
)
"""Names in torchvision's files of before it renamed layers."""

POSITIONS = "encoder.pos_embedding"
"""Weight of vision transformers: positions of the class token and of the patches, row by row."""


def current_name(name: str) -> str:
    """Return the current name of a weight in a file of torchvision."""
    for pattern, replacement in OLD_NAMES:
        name = pattern.sub(replacement, name)
    return name


def resize_positions(positions: Tensor, count: int) -> Tensor:
    """Return the positions, float [1, n, D], of a vision transformer for other images.

    Args:
        positions: A class token and a square grid of patches; others are returned as they are.
        count: Number of positions for the new image size.
    """
    old, new = (round((number - 1) ** 0.5) for number in (positions.shape[1], count))
    if old == new or 1 + old**2 != positions.shape[1]:
        return positions
    grid = positions[:, 1:].float().mT.reshape(1, -1, old, old)
    # As torchvision's `interpolate_embeddings`.
    resized = nn.functional.interpolate(grid, size=new, mode="bicubic", align_corners=True)
    return torch.cat([positions[:, :1].float(), resized.flatten(2).mT], dim=1)
