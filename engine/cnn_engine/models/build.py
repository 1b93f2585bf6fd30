"""The networks."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from cnn_engine.config.schema import ModelConfig
from cnn_engine.errors import ConfigError
from cnn_engine.models.mkldnn import Conv2d, MkldnnSequential
from cnn_engine.models.pooling import MaxPool2d
from cnn_engine.models.resnet import ResNet
from cnn_engine.models.torchvision_model import build_transfer
from cnn_engine.models.user_model import build_user_model
from cnn_engine.models.whitened import WhitenedCNN


class CNN(nn.Module):
    """The published network, for any number of blocks, channels, classes and any square size.

    Each block is convolution 3×3 (padding 1), batch norm, max-pool 2, ReLU; the dense layers that
    follow have ReLU and dropout but for the last. Pooling before ReLU gives the same values and
    gradients as the published order, as ReLU is monotonic, on a quarter of the elements.
    """

    def __init__(
        self, config: ModelConfig, channels: int, image_size: int, class_count: int
    ) -> None:
        super().__init__()
        self.blocks = MkldnnSequential(
            *(_block(before, after) for before, after in pairwise((channels, *config.filters)))
        )
        side = image_size >> len(config.filters)
        flat = config.filters[-1] * side * side
        dense = [
            nn.Sequential(nn.Linear(before, after), nn.ReLU(), Dropout(config.dropout))
            for before, after in pairwise((flat, *config.hidden))
        ]
        self.dense = nn.Sequential(*dense, nn.Linear((flat, *config.hidden)[-1], class_count))

    def forward(self, images: Tensor) -> Tensor:
        """Scores [N, classes] of normalised images [N, C, H, W]."""
        scores: Tensor = self.dense(self.blocks(images).flatten(1))
        return scores


def _block(channels: int, filters: int) -> nn.Sequential:
    return nn.Sequential(
        Conv2d(channels, filters, kernel_size=3, padding=1),
        nn.BatchNorm2d(filters),
        MaxPool2d(),
        nn.ReLU(),
    )


class Dropout(nn.Module):
    """Zeroes a share of the values in training, and scales the others up so that the mean stays.

    As `torch.nn.Dropout`, whose draws take a processor four times as long as these.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Values of the same shape."""
        if not self.training or not self.share:
            return values
        if values.device.type != "cpu":  # one kernel there
            return dropout(values, self.share)
        kept = torch.rand(values.shape, device=values.device) >= self.share
        return values * (kept / (1 - self.share)).to(values.dtype)

    def extra_repr(self) -> str:
        """The share, for `print(model)`."""
        return f"share={self.share}"


def build_model(config: ModelConfig, channels: int, image_size: int, class_count: int) -> nn.Module:
    """The network that the config names, with its initial weights.

    Raises:
        ConfigError: the network is not to be had, or not for such images.
    """
    match config.name:
        case "torchvision":
            return build_transfer(config, channels, class_count)
        case _ if config.is_user_model:
            return build_user_model(config, channels, image_size, class_count)
        case _ if image_size < 2 ** len(config.filters):
            raise ConfigError(
                f"model.filters: {len(config.filters)} are too many for images of {image_size} "
                "pixels, as each halves them; give fewer, or a larger data.image_size"
            )
        case "resnet":
            return ResNet(config.filters, config.blocks, channels, image_size, class_count)
        case "whitened":
            return WhitenedCNN(config, channels, class_count)
        case _:
            return CNN(config, channels, image_size, class_count)


def count_parameters(model: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
