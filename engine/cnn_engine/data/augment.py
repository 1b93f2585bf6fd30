"""How training images are changed each time they are seen, drawn for an epoch at once.

What is drawn depends on the seed, the epoch and the image's place in the epoch's order, and on
nothing that went before: a run that is resumed in mid-epoch sees what it would have seen.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from cnn_engine.config.schema import AugmentConfig
from cnn_engine.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class AugmentParams:
    """How images are to be seen, one value an image."""

    flip: Tensor
    """bool [M]: left and right exchanged."""

    shift_y: Tensor
    """int64 [M]: pixels that the image is moved down, negative for up; what lies beyond its edge is
    its mirror image."""

    shift_x: Tensor
    """int64 [M]: pixels that it is moved to the right."""

    cutout_y: Tensor
    """int64 [M]: uppermost row of the square that is cut out."""

    cutout_x: Tensor
    """int64 [M]: leftmost column of that square."""

    cutout_size: int
    """Side of the square in pixels; 0 for none."""

    fill: Tensor
    """uint8 [C]: what it is filled with."""

    def pack(self) -> Tensor:
        """Return the values as int64 [5, M], to be cut into batches; `unpack` takes a part."""
        return torch.stack(
            [self.flip.long(), self.shift_y, self.shift_x, self.cutout_y, self.cutout_x]
        )

    def unpack(self, rows: Tensor) -> Self:
        """Return the views of other images, from int64 [5, M] as `pack` gives them."""
        flip, shift_y, shift_x, cutout_y, cutout_x = rows
        return replace(
            self,
            flip=flip.bool(),
            shift_y=shift_y,
            shift_x=shift_x,
            cutout_y=cutout_y,
            cutout_x=cutout_x,
        )

    def to(self, device: torch.device) -> Self:
        """Return the same on a device."""
        return replace(self.unpack(self.pack().to(device)), fill=self.fill.to(device))

    def apply(self, images: Tensor, indices: Tensor) -> Tensor:
        """Images as they are to be seen, uint8 [M, H, W, C].

        Args:
            images: uint8 [N, H, W, C].
            indices: int64 [M], which of them.
        """
        height, width, channels = images.shape[1:]
        rows = _moved(height, self.shift_y)
        columns = _moved(width, self.shift_x)
        columns = torch.where(self.flip[:, None], columns.flip(1), columns)
        # One index for each pixel of all images, so that one pass over them does everything.
        firsts = (indices[:, None] * height + rows) * width
        places = (firsts[:, :, None] + columns[:, None, :]).flatten()
        pixels = images.reshape(-1, channels).index_select(0, places)
        pixels = pixels.view(len(indices), height, width, channels)
        if not self.cutout_size:
            return pixels
        inside = _within(height, self.cutout_y, self.cutout_size)[:, :, None, None]
        inside = inside & _within(width, self.cutout_x, self.cutout_size)[:, None, :, None]
        return torch.where(inside, self.fill, pixels)


def _moved(side: int, by: Tensor) -> Tensor:
    """Where each row, or column, of moved images comes from: int64 [M, side]."""
    places = (torch.arange(side, device=by.device) - by[:, None]).abs()
    return (side - 1) - ((side - 1) - places).abs()


def _within(side: int, first: Tensor, count: int) -> Tensor:
    """Which rows, or columns, are among `count` from the first on: bool [M, side]."""
    places = torch.arange(side, device=first.device) - first[:, None]
    return (places >= 0) & (places < count)


def check_augment(config: AugmentConfig, size: int) -> None:
    """See that images are large enough for what is to be done to them.

    Raises:
        ConfigError: they are not.
    """
    if config.translate >= size:
        raise ConfigError(
            f"augment.translate: {config.translate} pixels, of images that have {size} a side; "
            f"use at most {size - 1}"
        )
    if config.cutout >= size:
        raise ConfigError(
            f"augment.cutout: a square of {config.cutout} pixels covers images that have {size} a "
            f"side; use at most {size - 1}"
        )


def sample_params(  # noqa: PLR0913, PLR0917 - what an epoch's views are drawn from
    config: AugmentConfig,
    order: Tensor,
    images: Tensor,
    mean: tuple[float, ...],
    seed: int,
    epoch: int,
) -> AugmentParams | None:
    """Draw on the host how the images of an epoch are to be seen; None where as they are.

    Flips are by chance, or `alternating` (K. Jordan, 2024, arXiv:2404.00498): each image by chance
    in the first epoch, and then one way and the other in turn, so that an image is seen both ways
    in any two epochs. The square cut out (DeVries and Taylor, 2017, arXiv:1708.04552) lies wholly
    within the image.

    Args:
        config: What is to be done.
        order: int64 [M], the images in the epoch's order.
        images: uint8 [N, S, S, C], all of them.
        mean: What the cut-out square becomes, in [0, 1], one value or one per channel.
        seed: The run's.
        epoch: Counted from 1.
    """
    if config == AugmentConfig():
        return None
    count, size, draws = len(order), images.shape[1], _generator(seed, epoch)
    reach, last = config.translate, size - config.cutout
    flipped = torch.zeros(count, dtype=torch.bool)
    if config.flip == "random":
        flipped = torch.rand(count, generator=draws) < 0.5
    elif config.flip == "alternating":
        first = torch.rand(len(images), generator=_generator(seed, 1)) < 0.5
        flipped = first[order] ^ (epoch % 2 == 0)
    down, right = torch.randint(-reach, reach + 1, (2, count), generator=draws)
    top, left = torch.randint(0, last + 1, (2, count), generator=draws)
    fill = (255 * torch.tensor(mean)).round().clamp(0, 255).expand(images.shape[3])
    return AugmentParams(
        flip=flipped,
        shift_y=down,
        shift_x=right,
        cutout_y=top,
        cutout_x=left,
        cutout_size=config.cutout,
        fill=fill.to(torch.uint8),
    )


def _generator(seed: int, epoch: int) -> torch.Generator:
    # A digest, as PyTorch's generator on the processor looks at 32 bits of a seed only.
    digest = hashlib.sha256(f"augment {seed} {epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4]))
