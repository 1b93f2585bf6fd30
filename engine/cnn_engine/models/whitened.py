"""A small network that learns fast: that of airbench (K. Jordan, 2024, arXiv:2404.00498)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, max_pool2d

from cnn_engine.config.schema import ModelConfig
from cnn_engine.models.pooling import MaxPool2d

WHITENING_IMAGES = 1_000
"""Images whose patches the first layer is made from: a million patches are more than enough."""

WHITENING_FLOOR = 5e-4
"""Added to the patches' variances, so that what hardly varies is not blown up."""

WHITEN_BIAS_EPOCHS = 3
"""Epochs in which the first layer's shift is learnt, as in airbench: it gains nothing later, and
its gradient, which comes through the largest maps, takes a twentieth of a step."""


class WhitenedCNN(nn.Module):
    """A fixed first layer that whitens, then blocks of two or three convolutions.

    All but the head starts as near to the identity as it can; of batch norm only the shift is
    learnt. The greatest value of each last map goes to the head, whose scores begin small.
    """

    def __init__(self, config: ModelConfig, channels: int, class_count: int) -> None:
        super().__init__()
        self.whitening = Whitening(channels)
        widths = (self.whitening.out_channels, *config.filters)
        self.blocks = nn.Sequential(
            *(Block(before, after, config.depth) for before, after in pairwise(widths))
        )
        self.head = nn.Linear(widths[-1], class_count, bias=False)
        with torch.no_grad():
            self.head.weight /= self.head.weight.std()

    def forward(self, images: Tensor) -> Tensor:
        """Scores [N, classes] of normalised images [N, C, H, W]."""
        maps = self.blocks(gelu(self.whitening(images)))
        highest = max_pool2d(maps, maps.shape[2:]).flatten(1)
        scores: Tensor = self.head(highest) / highest.shape[1]
        return scores


class Whitening(nn.Conv2d):
    """Patches of 2×2 pixels along the axes in which they vary, each scaled to vary alike.

    Each axis stands twice, with either sign, as what follows cuts off below zero. The filters are
    not learnt; a shift of each is, as long as `bias_trainable`.
    """

    bias: nn.Parameter

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2 * channels * 2 * 2, kernel_size=2)
        self.weight.requires_grad = False
        self.bias_trainable = True

    def forward(self, images: Tensor) -> Tensor:
        """Maps [N, 8 C, H - 1, W - 1] of normalised images [N, C, H, W]."""
        shift = self.bias if self.bias_trainable else self.bias.detach()
        return conv2d(images, self.weight, shift)

    @torch.no_grad()
    def init_whitening(self, images: Tensor) -> None:
        """Make the filters from the patches of normalised images [N, C, H, W]."""
        patches = nn.functional.unfold(images.float().contiguous(), 2).transpose(1, 2).flatten(0, 1)
        variances, axes = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = axes.T / (variances + WHITENING_FLOOR).sqrt()[:, None]
        self.weight.copy_(torch.cat([filters, -filters]).view_as(self.weight))


class Block(nn.Module):
    """Convolution 3×3, max-pool 2, batch norm, GELU; then as much without the pool.

    With a depth of three the last two convolutions are a residual: what went in is added.
    """

    def __init__(self, channels: int, filters: int, depth: int) -> None:
        super().__init__()
        self.first = _convolution(channels, filters)
        self.pool = MaxPool2d()
        self.norms = nn.ModuleList(_norm(filters) for _ in range(depth))
        self.others = nn.ModuleList(_convolution(filters, filters) for _ in range(depth - 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [N, filters, H // 2, W // 2] of maps [N, channels, H, W]."""
        start = maps = gelu(self.norms[0](self.pool(self.first(maps))))
        for number, (convolution, norm) in enumerate(
            zip(self.others, self.norms[1:], strict=True), start=1
        ):
            maps = norm(convolution(maps))
            maps = gelu(maps + start if number == 2 else maps)
        return maps


def _convolution(channels: int, filters: int) -> nn.Conv2d:
    """Its first filters pass the channels on as they are."""
    convolution = nn.Conv2d(channels, filters, kernel_size=3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight.data[:channels])
    return convolution


def _norm(filters: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(filters, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad = False
    return norm
