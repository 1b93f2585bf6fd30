"""Batches taken from images in memory by tensor operations, without worker processes."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cnn_engine.data.dataset import DataSet
from cnn_engine.data.normalize import normalize, scale_and_shift

MAX_GPU_FRACTION = 0.5
"""Maximum fraction of a GPU's free memory for the images; larger data sets stay on the host."""


@dataclass(frozen=True, kw_only=True)
class TensorLoader:
    """Images and labels in memory, their normalization, and the device of the batches."""

    images: Tensor
    """uint8 [N, H, W, C], on the device, or on the host if they do not fit."""

    labels: Tensor
    """int64 [N], on the device."""

    scale: Tensor
    """float32 [H, W, C], on the device; see `normalize`."""

    shift: Tensor
    """float32 [H, W, C], on the device."""

    device: torch.device
    """Device of the batches."""

    @property
    def is_staged(self) -> bool:
        """True if the images stay on the host and are copied to the device batch by batch."""
        return self.images.device != self.device

    def batches(self, indices: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalized images [n, C, H, W] (channels-last in memory) and labels [n], in order.

        Args:
            indices: int64 [M], images to take.
            batch_size: Images per batch; the last batch may have fewer.
        """
        if not len(indices):
            return  # torch.split would give one empty batch
        for batch in torch.split(indices.to(self.images.device), batch_size):
            pixels = self.images.index_select(0, batch)
            if self.is_staged and self.device.type == "cuda":
                # Pinned, so that the copy does not block the host.
                pixels = pixels.pin_memory().to(self.device, non_blocking=True)
            yield self.normalize(pixels), self.labels.index_select(0, batch.to(self.device))

    def normalize(self, pixels: Tensor) -> Tensor:
        """Return float32 [n, C, H, W] (channels-last in memory) of uint8 [n, H, W, C]."""
        return normalize(pixels, self.scale, self.shift)


def make_loader(
    device: torch.device, data: DataSet, mean: tuple[float, ...], std: tuple[float, ...]
) -> TensorLoader:
    """Move a data set to a device if it fits, and return its loader.

    Args:
        device: Device of the batches.
        data: The data set.
        mean: Normalization, one value or one per channel.
        std: Likewise.
    """
    image_device = device if _fits(data.images, device) else torch.device("cpu")
    scale, shift = (
        values.expand(data.images.shape[1:]).contiguous().to(device)
        for values in scale_and_shift(mean, std)
    )
    return TensorLoader(
        images=data.images.to(image_device),
        labels=data.labels.to(device),
        scale=scale,
        shift=shift,
        device=device,
    )


def _fits(images: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return images.nbytes <= MAX_GPU_FRACTION * free


def batch_sizes(count: int, batch_size: int) -> list[int]:
    """Return the number of images in each batch of `count` images."""
    return [min(batch_size, count - first) for first in range(0, count, batch_size)]


def train_batch_sizes(count: int, batch_size: int) -> list[int]:
    """Return the number of images in each training batch of `count` images.

    As `batch_sizes`, but the last batch is not a single image, from which batch norm cannot compute
    a variance: it takes one from the batch before, or joins it if that has only two.
    """
    sizes = batch_sizes(count, batch_size)
    if len(sizes) == 1 or sizes[-1] > 1 or batch_size == 1:
        return sizes
    return [*sizes[:-2], batch_size - 1, 2] if batch_size > 2 else [*sizes[:-2], 3]


def epoch_order(indices: Tensor, seed: int, epoch: int) -> Tensor:
    """Return the indices, int64 [M], in the epoch's order; it depends on seed and epoch only."""
    # The CPU generator takes 32 bits; the odd factor keeps the epochs of different seeds apart.
    generator = torch.Generator().manual_seed((seed * 0x9E3779B1 + epoch) % 2**32)
    return indices[torch.randperm(len(indices), generator=generator)]
