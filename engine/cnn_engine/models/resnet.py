"""A small residual network for images of any size."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

STEM_SIDE = 64
"""The first blocks see images of this side at most: larger ones are halved before, as often as it
takes. Images of 224 pixels then come to them with 56, as in the paper."""


class ResNet(nn.Module):
    """Residual network (He, Zhang, Ren and Sun, "Deep Residual Learning", 2016) of plain blocks.

    Stages of `blocks` blocks each, with 3×3 convolutions, batch norm and ReLU; each stage but the
    first halves the side. The means over the last stage's maps (global average pooling: Lin, Chen
    and Yan, 2014) give the scores by one dense layer, so that the number of weights does not depend
    on the images' size. Blocks begin as the identity (Goyal and others, 2017).
    """

    def __init__(
        self, filters: tuple[int, ...], blocks: int, channels: int, image_size: int, classes: int
    ) -> None:
        super().__init__()
        self.stem = _stem(channels, filters[0], image_size)
        self.stages = nn.Sequential()
        for number, (before, after) in enumerate(pairwise((filters[0], *filters))):
            first = Block(before, after, stride=2 if number else 1)
            rest = (Block(after, after) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(first, *rest))
        self.dense = nn.Linear(filters[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Scores [N, classes] of normalised images [N, C, H, W]."""
        scores: Tensor = self.dense(self.stages(self.stem(images)).mean(dim=(2, 3)))
        return scores


def _stem(channels: int, filters: int, image_size: int) -> nn.Sequential:
    """The first convolution; it and pooling halve what is larger than the blocks are to see."""
    halvings = max(0, (image_size - 1) // STEM_SIDE).bit_length()
    stride = 2 if halvings else 1
    return nn.Sequential(
        nn.Conv2d(channels, filters, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
        *(nn.MaxPool2d(2) for _ in range(halvings - 1)),
    )


class Block(nn.Module):
    """Two convolutions 3×3 and a way past them."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        last = nn.BatchNorm2d(after)
        nn.init.zeros_(last.weight)
        self.way = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            last,
        )
        self.past: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.past = nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [N, C, H, W] to [N, after, H / stride, W / stride]."""
        return relu(self.way(maps) + self.past(maps))
