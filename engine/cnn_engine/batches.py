"""Batches cut from the images in memory by tensor operations: no loader processes, no copies."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_engine.data import DataSet


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The images, labels and normalisation, on the device that trains."""

    images: Tensor
    """uint8 [N, H, W, C]."""

    labels: Tensor
    """int64 [N]."""

    scale: Tensor
    """float [1, C, 1, 1]: what a pixel value is multiplied with."""

    shift: Tensor
    """float [1, C, 1, 1]: what is added then."""

    def cut(self, indices: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images [n, C, H, W] (channels-last in memory) and labels [n], in order.

        Args:
            indices: int64 [M], which images, on the device.
            size: images in each batch but the last, which has what remains.
        """
        for first in range(0, len(indices), size):
            chosen = indices[first : first + size]
            pixels = self.images.index_select(0, chosen).permute(0, 3, 1, 2)
            yield (
                pixels.float().mul_(self.scale).add_(self.shift),
                self.labels.index_select(0, chosen),
            )


def batches_on(
    device: torch.device, data: DataSet, mean: tuple[float, ...], std: tuple[float, ...]
) -> Batches:
    """Move a data set to the device; pixels p in 0..255 will become (p / 255 - mean) / std."""
    mean_, std_ = (torch.tensor(values).view(1, -1, 1, 1) for values in (mean, std))
    return Batches(
        images=data.images.to(device),
        labels=data.labels.to(device),
        scale=(1 / (255 * std_)).to(device),
        shift=(-mean_ / std_).to(device),
    )


def epoch_order(indices: Tensor, seed: int, epoch: int) -> Tensor:
    """The indices in this epoch's order, which depends on nothing but the seed and the epoch."""
    generator = torch.Generator().manual_seed((seed << 32) + epoch)
    return indices[torch.randperm(len(indices), generator=generator)]
