"""Networks of a user, as `model.name` names them."""

from torch import nn


class Plain(nn.Sequential):
    """A network without batch norm and dropout: equal for any number of processes."""

    def __init__(self, *, channels: int, image_size: int, class_count: int) -> None:
        super().__init__(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * (image_size // 2) ** 2, 32),
            nn.ReLU(),
            nn.Linear(32, class_count),
        )
