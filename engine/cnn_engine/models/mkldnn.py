"""Learning in the layout of oneDNN, which computes for PyTorch on x86 processors.

There a pixel's channels lie packed in blocks, of as many as a register holds. Convolutions are as
fast in any layout; but in this one oneDNN has batch norm and pooling of its own, which take half as
long as PyTorch's, and whose notes of where the greatest values were are an eighth of the size.
"""

import platform

import torch
from torch import Tensor, nn


class MkldnnSequential(nn.Sequential):
    """As `torch.nn.Sequential`; in training its layers get and give maps in oneDNN's layout.

    Those that have to know of it are convolutions, for which there is `Conv2d` below. Elsewhere
    than on an x86 processor, and in evaluation, all is as PyTorch has it.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self._norms = [each for each in self.modules() if isinstance(each, nn.BatchNorm2d)]

    def forward(self, images: Tensor) -> Tensor:
        """Maps [N, C, H, W] of images or maps, both in PyTorch's layout."""
        is_packed = self.training and _is_faster(images)
        maps: Tensor = _packed(images) if is_packed else images
        for layer in self:
            maps = layer(maps)
        return self._unpacked(maps) if is_packed else maps

    def _unpacked(self, maps: Tensor) -> Tensor:
        """Maps in PyTorch's layout, in which all that is not a number stays visible.

        To oneDNN's pooling and ReLU that is less than any number, so that zeros would come of it,
        and a loss that looks sound. The means that batch norm keeps tell.
        """
        means = [norm.running_mean for norm in self._norms if norm.running_mean is not None]
        # Nothing is added, but where a mean is not a number 0 times it is none either.
        return maps.to_dense().add_(torch.cat(means).sum(), alpha=0)


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


def _is_faster(images: Tensor) -> bool:
    """Return True if oneDNN's layout can be used, and is worth it."""
    return (
        images.device.type == "cpu"
        and platform.machine().lower() in {"x86_64", "amd64"}
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and (_dtype(images) != torch.bfloat16 or _has_bf16_convolution())
    )


def _has_bf16_convolution() -> bool:
    """Return True if the processor can convolve bf16 maps in this layout, which takes AVX-512."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _dtype(images: Tensor) -> torch.dtype:
    """Return the dtype in which convolutions compute: autocast's if that is on."""
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu")
    return images.dtype


def _packed(images: Tensor) -> Tensor:
    """Return images in oneDNN's layout and the dtype in which convolutions compute."""
    return images.to(_dtype(images)).to_mkldnn()
