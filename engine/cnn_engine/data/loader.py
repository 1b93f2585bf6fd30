"""Batches cut from the images in memory by tensor operations: no loader processes, no copies."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_engine.data.dataset import DataSet

MAX_GPU_FRACTION = 0.5
"""Share of a GPU's free memory that the images may take; larger sets stay with the host."""


@dataclass(frozen=True, kw_only=True)
class TensorLoader:
    """The images, labels and normalisation, and the device that trains."""

    images: Tensor
    """uint8 [N, H, W, C], on the device, or on the host where they do not fit."""

    labels: Tensor
    """int64 [N], on the device."""

    scale: Tensor
    """float [H · W · C]: what a pixel value is multiplied with."""

    shift: Tensor
    """float [H · W · C]: what is added then."""

    device: torch.device
    """Where batches are wanted."""

    @property
    def is_staged(self) -> bool:
        """Return True if the images stay on the host and are copied to the device by batch."""
        return self.images.device != self.device

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised images [n, C, H, W] (channels-last in memory) and labels [n], in order.

        Args:
            indices: int64 [M], which images.
            batch_size: Images in each batch but the last, which has what remains.
        """
        if not len(indices):
            return  # where torch.split would give one batch of nothing
        for chosen in torch.split(indices.to(self.images.device), batch_size):
            pixels = self.images.index_select(0, chosen)
            if self.is_staged and self.device.type == "cuda":
                # Pinned, so that the copy does not hold up the host.
                pixels = pixels.pin_memory().to(self.device, non_blocking=True)
            yield self.normalize(pixels), self.labels.index_select(0, chosen.to(self.device))

    def normalize(self, pixels: Tensor) -> Tensor:
        """Return float [n, C, H, W] (channels-last in memory) of pixels, uint8 [n, H, W, C]."""
        # By whole rows of pixels, as a row of three channels is too short to be fast.
        values = pixels.flatten(1).float().mul_(self.scale).add_(self.shift)
        return values.view(pixels.shape).permute(0, 3, 1, 2)


def make_loader(
    device: torch.device, data: DataSet, mean: tuple[float, ...], std: tuple[float, ...]
) -> TensorLoader:
    """Move a data set to the device; pixels p in 0..255 will become (p / 255 - mean) / std."""
    home = device if _fits(data.images, device) else torch.device("cpu")
    mean_, std_ = (
        torch.tensor(values).expand(data.images.shape[1:]).flatten() for values in (mean, std)
    )
    return TensorLoader(
        images=data.images.to(home),
        labels=data.labels.to(device),
        scale=(1 / (255 * std_)).to(device),
        shift=(-mean_ / std_).to(device),
        device=device,
    )


def _fits(images: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return images.nbytes <= MAX_GPU_FRACTION * free


def batch_sizes(count: int, size: int) -> list[int]:
    """Images of each batch that so many are cut into."""
    return [min(size, count - first) for first in range(0, count, size)]


def epoch_order(indices: Tensor, seed: int, epoch: int) -> Tensor:
    """The indices in this epoch's order, which depends on nothing but the seed and the epoch."""
    # A generator of the processor takes 32 bits; the odd factor keeps the seeds' epochs apart.
    generator = torch.Generator().manual_seed((seed * 0x9E3779B1 + epoch) % 2**32)
    return indices[torch.randperm(len(indices), generator=generator)]
