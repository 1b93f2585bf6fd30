"""Random parameters of the augmentations, drawn for a whole epoch at once.

They depend only on the seed, the epoch and the image's position in the epoch, so that a run resumed
in mid-epoch sees the same images. Flip and shift are fused into one gather; every further
augmentation is a function of pixels and parameters in `AUGMENTATIONS`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from cnn_engine.config.schema import AugmentConfig
from cnn_engine.data.augment.cutout import cut_out
from cnn_engine.data.augment.geometry import flip_and_shift
from cnn_engine.errors import ConfigError

DRAWN = ("flip", "shift_y", "shift_x", "cutout_y", "cutout_x")
"""Fields of `AugmentParams` with one value per image, in the order of `AugmentParams.pack`."""


@dataclass(frozen=True, kw_only=True)
class AugmentParams:
    """Augmentation parameters of M images."""

    flip: Tensor
    """bool [M]: mirror horizontally."""

    shift_y: Tensor
    """int64 [M]: pixels downward, negative for upward; filled by reflection."""

    shift_x: Tensor
    """int64 [M]: pixels to the right."""

    cutout_y: Tensor
    """int64 [M]: top row of the cut-out square."""

    cutout_x: Tensor
    """int64 [M]: left column of the square."""

    cutout_size: int
    """Side of the square in pixels; 0 for none."""

    fill: Tensor
    """uint8 [C]: colour of the square."""

    def pack(self) -> Tensor:
        """Return the values drawn per image as int64 [len(DRAWN), M], to be split into batches."""
        return torch.stack([getattr(self, name).long() for name in DRAWN])

    def unpack(self, rows: Tensor) -> Self:
        """Return the parameters of other images from packed values, int64 [len(DRAWN), M]."""
        drawn = dict(zip(DRAWN, rows, strict=True))
        return replace(self, **(drawn | {"flip": drawn["flip"].bool()}))

    def to(self, device: torch.device) -> Self:
        """Return the parameters on a device."""
        return replace(self.unpack(self.pack().to(device)), fill=self.fill.to(device))

    def apply(self, images: Tensor, indices: Tensor) -> Tensor:
        """Return augmented images, uint8 [M, H, W, C].

        Args:
            images: uint8 [N, H, W, C].
            indices: int64 [M], images to take.
        """
        pixels = flip_and_shift(images, indices, self.flip, self.shift_y, self.shift_x)
        for augmentation in AUGMENTATIONS:
            pixels = augmentation(pixels, self)
        return pixels


def _cutout(pixels: Tensor, params: AugmentParams) -> Tensor:
    return cut_out(pixels, params.cutout_y, params.cutout_x, params.cutout_size, params.fill)


AUGMENTATIONS: tuple[Callable[[Tensor, AugmentParams], Tensor], ...] = (_cutout,)
"""Augmentations after flip and shift, in order: pixels, uint8 [M, H, W, C], to the same."""


def check_augment(config: AugmentConfig, size: int) -> None:
    """Check that images of `size` pixels per side are large enough for the config.

    Raises:
        ConfigError: they are too small.
    """
    if config.translate >= size:
        raise ConfigError(
            f"augment.translate: {config.translate} pixels is too much for images of {size} × "
            f"{size} pixels; use at most {size - 1}"
        )
    if config.cutout >= size:
        raise ConfigError(
            f"augment.cutout: a square of {config.cutout} pixels covers images of {size} × {size} "
            f"pixels; use at most {size - 1}"
        )


def sample_params(  # noqa: PLR0913, PLR0917 - the parameters depend on all of these
    config: AugmentConfig,
    order: Tensor,
    images: Tensor,
    mean: tuple[float, ...],
    seed: int,
    epoch: int,
) -> AugmentParams | None:
    """Draw the parameters of an epoch's images on the host; None without augmentation.

    Flips are random, or `alternating` (K. Jordan, 2024, arXiv:2404.00498): random in the first
    epoch, then alternating per image, so that any two consecutive epochs show both orientations.

    Args:
        config: Augmentations.
        order: int64 [M], indices of the images in the epoch's order.
        images: uint8 [N, S, S, C], all images.
        mean: Colour of the cut-out square in [0, 1], one value or one per channel.
        seed: Seed of the run.
        epoch: Epoch, counted from 1.
    """
    if config == AugmentConfig():
        return None
    count, size, generator = len(order), images.shape[1], _generator(seed, epoch)
    flip = torch.zeros(count, dtype=torch.bool)
    if config.flip == "random":
        flip = torch.rand(count, generator=generator) < 0.5
    elif config.flip == "alternating":
        first = torch.rand(len(images), generator=_generator(seed, 1)) < 0.5
        flip = first[order] ^ (epoch % 2 == 0)
    # New augmentations must draw after these, so that a seed keeps giving the same values here.
    limit, last = config.translate, size - config.cutout
    shift_y, shift_x = torch.randint(-limit, limit + 1, (2, count), generator=generator)
    cutout_y, cutout_x = torch.randint(0, last + 1, (2, count), generator=generator)
    fill = (255 * torch.tensor(mean)).round().clamp(0, 255).expand(images.shape[3])
    return AugmentParams(
        flip=flip,
        shift_y=shift_y,
        shift_x=shift_x,
        cutout_y=cutout_y,
        cutout_x=cutout_x,
        cutout_size=config.cutout,
        fill=fill.to(torch.uint8),
    )


def _generator(seed: int, epoch: int) -> torch.Generator:
    # Hashed, as PyTorch's CPU generator uses only 32 bits of a seed.
    digest = hashlib.sha256(f"augment {seed} {epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4]))
