"""Training in the memory layout of oneDNN (formerly MKL-DNN), PyTorch's library for x86 CPUs.

The layout interleaves channels in blocks of a register's width. It does not make convolutions
faster, but oneDNN's batch norm and pooling need it. They take half as long as PyTorch's, and the
indices that max-pooling saves for its backward pass need an eighth of the memory.
"""

import platform

import torch
from torch import Tensor, nn


class MkldnnSequential(nn.Sequential):
    """`nn.Sequential` whose layers exchange mkldnn tensors in training on an x86 CPU.

    Convolutions must be the `Conv2d` below. In evaluation, and on other devices, it works like
    `nn.Sequential`.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self._norms = [layer for layer in self.modules() if isinstance(layer, nn.BatchNorm2d)]

    def forward(self, images: Tensor) -> Tensor:
        """Return maps [N, C', H', W'] of images or maps [N, C, H, W], both as dense tensors."""
        is_mkldnn = self.training and _is_faster(images)
        maps: Tensor = _to_mkldnn(images) if is_mkldnn else images
        for layer in self:
            maps = layer(maps)
        return self._to_dense(maps) if is_mkldnn else maps

    def _to_dense(self, maps: Tensor) -> Tensor:
        """Return a dense tensor that is NaN if batch norm met a value that is not finite.

        oneDNN's max-pool and ReLU turn NaN into 0, which would hide divergence; NaN is carried over
        from the running means of batch norm.
        """
        means = [norm.running_mean for norm in self._norms if norm.running_mean is not None]
        # Adds 0 · mean: nothing if the mean is finite, NaN otherwise.
        return maps.to_dense().add_(torch.cat(means).sum(), alpha=0)


class Conv2d(nn.Conv2d):
    """Conv2d that accepts mkldnn tensors in training too; `nn.Conv2d` does in inference only."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps [N, out_channels, H', W'] of maps [N, in_channels, H, W], in their layout."""
        if not maps.is_mkldnn:
            return super().forward(maps)
        return torch.mkldnn_convolution(
            maps,
            self.weight.to(maps.dtype),  # as autocast does
            None if self.bias is None else self.bias.to(maps.dtype),
            self.padding,  # type: ignore[arg-type]  # never a string here
            self.stride,
            self.dilation,
            self.groups,
        )


def _is_faster(images: Tensor) -> bool:
    """Return True if oneDNN's layout is available, and faster."""
    return (
        images.device.type == "cpu"
        and platform.machine().lower() in {"x86_64", "amd64"}
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and (_compute_dtype(images) != torch.bfloat16 or _has_bf16_convolution())
    )


def _has_bf16_convolution() -> bool:
    """Return True if the CPU can convolve bf16 maps in this layout, which takes AVX-512."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _compute_dtype(images: Tensor) -> torch.dtype:
    """Return the dtype in which convolutions compute: autocast's if that is on."""
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu")
    return images.dtype


def _to_mkldnn(images: Tensor) -> Tensor:
    """Return images in oneDNN's layout and the dtype in which convolutions compute."""
    return images.to(_compute_dtype(images)).to_mkldnn()
