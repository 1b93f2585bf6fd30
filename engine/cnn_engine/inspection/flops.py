"""Floating-point operations, counted as PyTorch carries them out.

A multiplication and the addition that follows count as two. Counted are products, of convolutions
and of matrices, forward and backward, and normalisation by batch, two for each value (scale and
shift); what compares, copies or adds costs so little beside them that it counts as none.

To be used with gradients on or off, but not in inference mode, where PyTorch carries out dense
layers as operations that are none of these. `torch.utils.flop_counter` counts the same products,
and imports a compiler of 75 MB for it; a test compares the two.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


def _convolution(args: Sequence[Any], output: Tensor) -> int:
    images, weight, *_ = args
    is_transposed = args[6]
    return _convolved(images if is_transposed else output, weight)


def _onednn_convolution(args: Sequence[Any], output: Tensor) -> int:
    return _convolved(output, args[1])


def _convolution_backward(args: Sequence[Any], _output: object) -> int:
    gradient, images, weight, *_ = args
    is_transposed, wanted = args[7], args[10]
    passes = wanted[0] + wanted[1]  # to the images, to the weights
    return int(passes) * _convolved(images if is_transposed else gradient, weight)


def _convolved(positions: Tensor, weight: Tensor) -> int:
    """Every weight meets every position [N, C, …] of the filter, once."""
    return int(2 * len(positions) * prod(positions.shape[2:]) * weight.numel())


def _product(args: Sequence[Any], output: Tensor) -> int:
    return 2 * output.numel() * int(args[0].shape[-1])


def _added_product(args: Sequence[Any], output: Tensor) -> int:
    return _product(args[1:], output)


def _attention(args: Sequence[Any], _output: object) -> int:
    """Every query [N, heads, queries, d] meets every key, and weighs every value."""
    query, key, value = args[:3]
    pairs = prod(query.shape[:3]) * int(key.shape[2])
    return int(2 * pairs * (query.shape[3] + value.shape[3]))


PRODUCTS: Mapping[object, Callable[[Sequence[Any], Any], int]] = {
    aten.convolution: _convolution,
    aten.mkldnn_convolution: _onednn_convolution,
    aten.convolution_backward: _convolution_backward,
    aten.mm: _product,
    aten.bmm: _product,
    aten.addmm: _added_product,
    aten.baddbmm: _added_product,
    aten._scaled_dot_product_flash_attention: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_efficient_attention: _attention,
    aten._scaled_dot_product_cudnn_attention: _attention,
}
NORMALISATIONS = {
    aten.native_batch_norm,
    aten._native_batch_norm_legit,
    aten._native_batch_norm_legit_no_training,
    aten._batch_norm_with_update,
    aten._batch_norm_no_update,
    aten.cudnn_batch_norm,
    aten.miopen_batch_norm,
}


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is carried out while it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products = 0
        """Operations of convolutions and matrix products."""
        self.normalisation = 0
        """Operations of normalisation by batch."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch asks; if it should, it imports its compiler, which is not used here."""
        return False

    @property
    def total(self) -> int:
        """All that are counted."""
        return self.products + self.normalisation

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - PyTorch's signature
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Carry out one operation, and count it."""
        output = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in PRODUCTS:
            self.products += PRODUCTS[packet](args, output)
        elif packet in NORMALISATIONS:
            self.normalisation += 2 * int(args[0].numel())
        return output
