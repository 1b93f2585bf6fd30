"""A small residual network for images of any size."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.functional import relu

from cnn_engine.models.renamed import rename_prefixes

MAX_STEM_OUTPUT = 64
"""Maximum image side in pixels after the stem, which halves larger images: 224 become 56, as in the
paper."""


class ResNet(nn.Module):
    """Residual network of basic blocks (He, Zhang, Ren and Sun, 2016, arXiv:1512.03385).

    Each stage has `blocks` blocks of two 3×3 convolutions; each stage but the first halves the
    side. Global average pooling (Lin, Chen and Yan, 2014, arXiv:1312.4400) makes the number of
    weights independent of the image size. Blocks start as the identity: the weight of their last
    batch norm is 0 (Goyal and others, 2017, arXiv:1706.02677).
    """

    def __init__(
        self,
        *,
        channels: int,
        image_size: int,
        class_count: int,
        filters: Sequence[int],
        blocks: int,
    ) -> None:
        super().__init__()
        self.stem = _stem(channels, filters[0], image_size)
        self.stages = nn.Sequential()
        for number, (before, after) in enumerate(pairwise((filters[0], *filters))):
            first = Block(before, after, stride=2 if number else 1)
            rest = (Block(after, after) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(first, *rest))
        self.dense = nn.Linear(filters[-1], class_count)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, classes] of normalized images [N, C, H, W]."""
        logits: Tensor = self.dense(self.stages(self.stem(images)).mean(dim=(2, 3)))
        return logits


def _stem(channels: int, filters: int, image_size: int) -> nn.Sequential:
    """Return the first convolution, with the stride and pooling that large images need."""
    halvings = max(0, (image_size - 1) // MAX_STEM_OUTPUT).bit_length()
    stride = 2 if halvings else 1
    return nn.Sequential(
        nn.Conv2d(channels, filters, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
        *(nn.MaxPool2d(2) for _ in range(halvings - 1)),
    )


class Block(nn.Module):
    """Two 3×3 convolutions, the residual, added to a shortcut."""

    OLD_NAMES: ClassVar = {"way": "residual", "past": "shortcut"}

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        last_norm = nn.BatchNorm2d(after)
        nn.init.zeros_(last_norm.weight)
        self.residual = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            last_norm,
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps [N, after, H / stride, W / stride] of maps [N, before, H, W]."""
        return relu(self.residual(maps) + self.shortcut(maps))

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        *arguments: Any,  # noqa: ANN401 - PyTorch's
    ) -> None:
        """Accept the names of older exports in `load_state_dict`, which calls this."""
        names = {f"{prefix}{old}.": f"{prefix}{new}." for old, new in self.OLD_NAMES.items()}
        renamed = rename_prefixes(state_dict, names)
        state_dict.clear()
        state_dict.update(renamed)
        super()._load_from_state_dict(state_dict, prefix, *arguments)
