"""Maps in the layout of oneDNN, which computes for PyTorch on x86 processors.

There a pixel's channels lie packed in blocks, of as many as a register holds. Convolutions are as
fast in any layout; but in this one oneDNN has batch norm and pooling of its own, which take half as
long as PyTorch's, and whose notes of where the greatest values were are an eighth of the size.
"""

import platform
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def is_faster(images: Tensor) -> bool:
    """Whether training on these images is faster so: on an x86 processor."""
    return (
        images.device.type == "cpu"
        and platform.machine().lower() in {"x86_64", "amd64"}
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )


def packed(images: Tensor) -> Tensor:
    """Images [N, C, H, W] in this layout, in the arithmetic of autocast if that is on."""
    if torch.is_autocast_enabled("cpu"):
        images = images.to(torch.get_autocast_dtype("cpu"))
    return images.to_mkldnn()


def unpacked(maps: Tensor, norms: Iterable[nn.BatchNorm2d]) -> Tensor:
    """Maps [N, C, H, W] in this layout in PyTorch's; all that is not a number stays visible.

    To oneDNN's pooling and ReLU that is less than any number, so that zeros would come of it, and a
    loss that looks sound. The means that batch norm keeps tell.

    Args:
        maps: In this layout.
        norms: What they have come through, in training.
    """
    # Nothing is added, but where a mean is not a number 0 times it is none either.
    means = torch.cat([norm.running_mean for norm in norms if norm.running_mean is not None])
    return maps.to_dense().add_(means.sum(), alpha=0)


class Conv2d(nn.Conv2d):
    """As `torch.nn.Conv2d`, which takes maps in this layout only where nothing is learnt."""

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [N, out_channels, …] of maps [N, in_channels, H, W], in the layout of these."""
        if not maps.is_mkldnn:
            return super().forward(maps)
        return torch.mkldnn_convolution(
            maps,
            self.weight.to(maps.dtype),  # as autocast would have it
            None if self.bias is None else self.bias.to(maps.dtype),
            self.padding,  # type: ignore[arg-type]  # numbers: layers here give no word for it
            self.stride,
            self.dilation,
            self.groups,
        )
