"""A trained network with normalization and softmax included."""

from torch import Tensor, nn

from cnn_engine.data.normalize import normalize, scale_and_shift


class Classifier(nn.Module):
    """Model from pixels, uint8 [N, S, S, C], to probabilities, float32 [N, classes]."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Wrap a network from normalized images [N, C, S, S] to logits [N, classes]."""
        super().__init__()
        self.network = network
        scale, shift = scale_and_shift(mean, std)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities, float32 [N, classes], of images, uint8 [N, S, S, C]."""
        logits: Tensor = self.network(normalize(images, self.scale, self.shift))
        return logits.softmax(dim=1)
