"""Test-time augmentation: the mean of the logits over several views of an image."""

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import pad

FORWARDS = {"none": 0, "mirror": 2, "mirror-shift": 6}
"""Additional forward passes per image, by kind."""


class TTAModel(nn.Module):
    """Wraps a model; returns its mean logits over several views of each image.

    The views are the image and its mirror image; with `mirror-shift` also both shifted by one pixel
    up and left, and by one pixel down and right. The unshifted views have half of the weight, as in
    airbench (K. Jordan, 2024, arXiv:2404.00498).
    """

    def __init__(self, model: nn.Module, kind: Literal["mirror", "mirror-shift"]) -> None:
        super().__init__()
        self._model, self._kind = model, kind

    def forward(self, images: Tensor) -> Tensor:
        """Return mean logits [N, classes] of normalized images [N, C, H, W]."""
        logits = self._flip_average(images)
        if self._kind == "mirror":
            return logits
        height, width = images.shape[2:]
        padded = pad(images, (1, 1, 1, 1), mode="reflect")
        shifted = [
            self._flip_average(padded[:, :, offset : offset + height, offset : offset + width])
            for offset in (0, 2)
        ]
        return logits / 2 + (shifted[0] + shifted[1]) / 4

    def _flip_average(self, images: Tensor) -> Tensor:
        logits: Tensor = (self._model(images) + self._model(images.flip(3))) / 2
        return logits
