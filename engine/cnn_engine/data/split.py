"""Random splits into training, validation and test images."""

import torch
from torch import Tensor

from cnn_engine.data.raw import RawImages

TEST_SEED = 0
"""Seed of the test split, independent of the run's seed, so that results are comparable."""


def split_test(raw: RawImages, fraction: float) -> tuple[Tensor, Tensor]:
    """Return indices of training and test images, int64 [M] each; uses the source's split if any.

    Args:
        raw: The images.
        fraction: Fraction of test images if the source has none.
    """
    count = len(raw.images)
    if raw.train_count < count:
        return torch.arange(raw.train_count), torch.arange(raw.train_count, count)
    return shuffled_split(torch.arange(count), fraction, TEST_SEED)


def shuffled_split(indices: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Shuffle indices and split them; the second part holds `fraction` of them, rounded down.

    Args:
        indices: int64 [M].
        fraction: 0 to 1.
        seed: Seed of the permutation.
    """
    generator = torch.Generator().manual_seed(seed)
    shuffled = indices[torch.randperm(len(indices), generator=generator)]
    cut = len(indices) - int(len(indices) * fraction)
    return shuffled[:cut], shuffled[cut:]
