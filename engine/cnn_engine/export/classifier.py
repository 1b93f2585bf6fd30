"""A trained network with its preparation and its meaning: hard to use wrongly elsewhere."""

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """Images as they are to probabilities: uint8 [N, S, S, C] to fp32 [N, classes].

    That pixels must be normalised, how, and that scores are no probabilities is its own affair.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Take a network that maps normalised images [N, C, S, S] to scores [N, classes]."""
        super().__init__()
        self.network = network
        mean_, std_ = torch.tensor(mean), torch.tensor(std)
        # As `Batches` does it, to the bit.
        self.register_buffer("scale", 1 / (255 * std_))
        self.register_buffer("shift", -mean_ / std_)

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities of images."""
        normalised = images.float() * self.scale + self.shift
        scores: Tensor = self.network(normalised.permute(0, 3, 1, 2))
        return scores.softmax(dim=1)
