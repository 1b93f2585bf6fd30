"""Test-time augmentation: an image's scores as the mean over several views of it."""

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import pad

VIEWS = {"none": 0, "mirror": 2, "mirror-shift": 6}
"""How often each kind looks at an image."""


class MeanOverViews(nn.Module):
    """A model that looks at each image more than once.

    At it and its mirror image; with `mirror-shift` also at both moved by a pixel up and to the
    left, and down and to the right. The unmoved count for half, as in airbench (K. Jordan, 2024).
    """

    def __init__(self, model: nn.Module, kind: Literal["mirror", "mirror-shift"]) -> None:
        super().__init__()
        self._model, self._kind = model, kind

    def forward(self, images: Tensor) -> Tensor:
        """Mean scores [N, classes] of images [N, C, H, W]."""
        scores = self._both_ways(images)
        if self._kind == "mirror":
            return scores
        height, width = images.shape[2:]
        wider = pad(images, (1, 1, 1, 1), mode="reflect")
        moved = [self._both_ways(wider[:, :, by : by + height, by : by + width]) for by in (0, 2)]
        return scores / 2 + (moved[0] + moved[1]) / 4

    def _both_ways(self, images: Tensor) -> Tensor:
        scores: Tensor = (self._model(images) + self._model(images.flip(3))) / 2
        return scores
