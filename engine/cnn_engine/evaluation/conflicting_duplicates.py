"""Near-duplicates whose labels differ: one of the two labels is wrong, or both."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from cnn_engine.data.checks.image_info import MINIATURE
from cnn_engine.data.checks.near_duplicates import correlation, near_pairs
from cnn_engine.data.dataset import CHUNK_VALUES, LUMA, DataSet


class Conflict(NamedTuple):
    """Two images that are nearly the same, with different labels."""

    first: int
    """Index in the data set, lower than that of `second`."""

    second: int

    correlation: float
    """Of their grey miniatures, up to 1."""


def conflicting_duplicates(data: DataSet, indices: Tensor) -> list[Conflict]:
    """Return the pairs of near-duplicates with different labels among images, the closest first.

    Args:
        data: The data set.
        indices: Images to compare, int64 [M].
    """
    small = miniatures(data, indices).numpy()
    labels = data.labels[indices].tolist()
    pairs = [pair for pair in near_pairs(small) if labels[pair[0]] != labels[pair[1]]]
    found = []
    for one, other in pairs:
        first, second = sorted((int(indices[one]), int(indices[other])))
        found.append(Conflict(first, second, correlation(small[one], small[other])))
    return sorted(found, key=lambda conflict: (-conflict.correlation, conflict[:2]))


def miniatures(data: DataSet, indices: Tensor) -> Tensor:
    """Return grey miniatures, uint8 [M, height, width], of the images at `indices`, int64 [M]."""
    width, height = MINIATURE
    parts = []
    for part in torch.split(indices, max(1, CHUNK_VALUES // data.images[0].numel())):
        planes = data.images[part].permute(0, 3, 1, 2).float()
        if planes.shape[1] == 3:
            planes = (planes * torch.tensor(LUMA).view(3, 1, 1)).sum(dim=1, keepdim=True)
        small = interpolate(planes, (height, width), mode="bilinear", antialias=True)
        parts.append(small[:, 0].round().clamp(0, 255).byte())
    return torch.cat(parts)
