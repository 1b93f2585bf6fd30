"""The network of airbench, which trains fast (K. Jordan, 2024, arXiv:2404.00498)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, max_pool2d

from cnn_engine.models.pooling import MaxPool2d

WHITENING_EPSILON = 5e-4
"""Added to the variances of patches, so that directions of tiny variance are not amplified."""

WHITEN_BIAS_EPOCHS = 3
"""Epochs in which the bias of the whitening layer is trained, as in airbench: without a gradient,
neither momentum nor weight decay change it. Training it longer gains nothing, and its gradient,
over the largest maps, takes a twentieth of a step. airbench94_muon also lowers its learning rate
to 0 within these epochs; here, as in airbench94, it follows the schedule."""


class WhitenedCNN(nn.Module):
    """A fixed whitening layer, then blocks of two or three convolutions.

    Convolutions start as the identity (dirac initialization); batch norm has a trainable bias but
    no trainable weight. Global max-pooling; logits are divided by the width, so that they start
    small.
    """

    def __init__(
        self,
        *,
        channels: int,
        image_size: int,  # noqa: ARG002 - works with any size
        class_count: int,
        filters: Sequence[int],
        depth: int,
    ) -> None:
        super().__init__()
        self.whitening = Whitening(channels)
        widths = (self.whitening.out_channels, *filters)
        self.blocks = nn.Sequential(
            *(Block(before, after, depth) for before, after in pairwise(widths))
        )
        self.head = nn.Linear(widths[-1], class_count, bias=False)
        with torch.no_grad():
            self.head.weight /= self.head.weight.std()

    def init_from_images(self, images: Tensor) -> None:
        """Set the filters of the whitening layer from normalized images [N, C, H, W]."""
        self.whitening.init_whitening(images)

    def begin_epoch(self, epoch: int) -> None:
        """Train the bias of the whitening layer in the first epochs only."""
        self.whitening.bias_trainable = epoch <= WHITEN_BIAS_EPOCHS

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, classes] of normalized images [N, C, H, W]."""
        maps = self.blocks(gelu(self.whitening(images)))
        features = max_pool2d(maps, maps.shape[2:]).flatten(1)
        logits: Tensor = self.head(features) / features.shape[1]
        return logits


class Whitening(nn.Conv2d):
    """Projects patches of 2×2 pixels on their principal components, scaled to equal variance.

    Each component has two filters, of opposite sign, because the activation that follows suppresses
    negative values. The filters are fixed; the bias is trained while `bias_trainable`.
    """

    bias: nn.Parameter

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2 * channels * 2 * 2, kernel_size=2)
        self.weight.requires_grad = False
        self.bias_trainable = True

    def forward(self, images: Tensor) -> Tensor:
        """Return maps [N, 8 C, H - 1, W - 1] of normalized images [N, C, H, W]."""
        bias = self.bias if self.bias_trainable else self.bias.detach()
        return conv2d(images, self.weight, bias)

    @torch.no_grad()
    def init_whitening(self, images: Tensor) -> None:
        """Set the filters from the patches of normalized images [N, C, H, W].

        A thousand images, with almost a million patches of 32×32 pixels, are more than enough.
        """
        patches = nn.functional.unfold(images.float().contiguous(), 2).transpose(1, 2).flatten(0, 1)
        variances, components = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = components.T / (variances + WHITENING_EPSILON).sqrt()[:, None]
        self.weight.copy_(torch.cat([filters, -filters]).view_as(self.weight))


class Block(nn.Module):
    """Convolution 3×3, max-pool 2, batch norm, GELU; `depth` - 1 more times without pooling.

    With depth 3, a shortcut skips the last two convolutions.
    """

    def __init__(self, channels: int, filters: int, depth: int) -> None:
        super().__init__()
        self.first = _convolution(channels, filters)
        self.pool = MaxPool2d()
        self.norms = nn.ModuleList(_norm(filters) for _ in range(depth))
        self.others = nn.ModuleList(_convolution(filters, filters) for _ in range(depth - 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps [N, filters, H // 2, W // 2] of maps [N, channels, H, W]."""
        shortcut = maps = gelu(self.norms[0](self.pool(self.first(maps))))
        for number, (convolution, norm) in enumerate(
            zip(self.others, self.norms[1:], strict=True), start=1
        ):
            maps = norm(convolution(maps))
            maps = gelu(maps + shortcut if number == 2 else maps)
        return maps


def _convolution(channels: int, filters: int) -> nn.Conv2d:
    """Return a convolution whose first filters are the identity."""
    convolution = nn.Conv2d(channels, filters, kernel_size=3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight.data[:channels])
    return convolution


def _norm(filters: int) -> nn.BatchNorm2d:
    """Return a batch norm with the settings of airbench, with a fixed weight of 1."""
    norm = nn.BatchNorm2d(filters, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad = False
    return norm
