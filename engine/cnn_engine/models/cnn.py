"""The network of the published benchmark: convolution blocks, then dense layers."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from cnn_engine.models.mkldnn import Conv2d, MkldnnSequential
from cnn_engine.models.pooling import MaxPool2d


class CNN(nn.Module):
    """The published network, for any number of blocks, channels, classes and any square size.

    Each block is convolution 3×3 (padding 1), batch norm, max-pool 2, ReLU; all dense layers except
    the last are followed by ReLU and dropout. Pooling before ReLU gives the same values and
    gradients as the published order, as ReLU is monotonic, with a quarter of the elements in ReLU.
    """

    def __init__(  # noqa: PLR0913 - settings of the network
        self,
        *,
        channels: int,
        image_size: int,
        class_count: int,
        filters: Sequence[int],
        hidden: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.blocks = MkldnnSequential(
            *(_block(before, after) for before, after in pairwise((channels, *filters)))
        )
        side = image_size >> len(filters)
        features = filters[-1] * side * side
        dense = [
            nn.Sequential(nn.Linear(before, after), nn.ReLU(), Dropout(dropout))
            for before, after in pairwise((features, *hidden))
        ]
        self.dense = nn.Sequential(*dense, nn.Linear((features, *hidden)[-1], class_count))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, classes] of normalized images [N, C, H, W]."""
        logits: Tensor = self.dense(self.blocks(images).flatten(1))
        return logits


def _block(channels: int, filters: int) -> nn.Sequential:
    return nn.Sequential(
        Conv2d(channels, filters, kernel_size=3, padding=1),
        nn.BatchNorm2d(filters),
        MaxPool2d(),
        nn.ReLU(),
    )


class Dropout(nn.Module):
    """Dropout with a faster mask on the CPU.

    Like `torch.nn.Dropout`, but the mask is drawn by `torch.rand`: on a CPU, the Bernoulli draws of
    PyTorch's dropout take four times as long.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        """Return values of the same shape; in training each is zeroed with probability `p`."""
        if not self.training or not self.p:
            return values
        if values.device.type != "cpu":  # one kernel there
            return dropout(values, self.p)
        mask = torch.rand(values.shape, device=values.device) >= self.p
        return values * (mask / (1 - self.p)).to(values.dtype)

    def extra_repr(self) -> str:
        """Return the probability, for `print(model)`."""
        return f"p={self.p}"
