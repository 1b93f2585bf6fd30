"""Counter of floating-point operations (FLOPs) that PyTorch executes.

A multiply-add counts as two. Counted are convolutions and matrix products, forward and backward,
and batch norm with two per value (scale and shift); comparisons, copies and additions are
negligible and count as none.

Do not use it in inference mode, in which PyTorch dispatches linear layers to other operators.
`torch.utils.flop_counter` counts the same products but imports a compiler of 75 MB; a test compares
both.
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
    return _convolution_flops(images if is_transposed else output, weight)


def _mkldnn_convolution(args: Sequence[Any], output: Tensor) -> int:
    return _convolution_flops(output, args[1])


def _convolution_backward(args: Sequence[Any], _output: object) -> int:
    gradient, images, weight, *_ = args
    is_transposed, output_mask = args[7], args[10]
    products = output_mask[0] + output_mask[1]  # gradients of the images, of the weight
    return int(products) * _convolution_flops(images if is_transposed else gradient, weight)


def _convolution_flops(positions: Tensor, weight: Tensor) -> int:
    """Return FLOPs: each weight is multiplied once per position [N, C, …] of the filter."""
    return int(2 * len(positions) * prod(positions.shape[2:]) * weight.numel())


def _product(args: Sequence[Any], output: Tensor) -> int:
    return 2 * output.numel() * int(args[0].shape[-1])


def _product_with_bias(args: Sequence[Any], output: Tensor) -> int:
    return _product(args[1:], output)


def _attention(args: Sequence[Any], _output: object) -> int:
    """Return FLOPs of query · keyᵀ and weights · value, with queries [N, heads, queries, d]."""
    query, key, value = args[:3]
    pairs = prod(query.shape[:3]) * int(key.shape[2])
    return int(2 * pairs * (query.shape[3] + value.shape[3]))


PRODUCTS: Mapping[object, Callable[[Sequence[Any], Any], int]] = {
    aten.convolution: _convolution,
    aten.mkldnn_convolution: _mkldnn_convolution,
    aten.convolution_backward: _convolution_backward,
    aten.mm: _product,
    aten.bmm: _product,
    aten.addmm: _product_with_bias,
    aten.baddbmm: _product_with_bias,
    aten._scaled_dot_product_flash_attention: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_efficient_attention: _attention,
    aten._scaled_dot_product_cudnn_attention: _attention,
}
BATCH_NORMS = {
    aten.native_batch_norm,
    aten._native_batch_norm_legit,
    aten._native_batch_norm_legit_no_training,
    aten._batch_norm_with_update,
    aten._batch_norm_no_update,
    aten.cudnn_batch_norm,
    aten.miopen_batch_norm,
}


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context manager that counts the FLOPs executed within it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products = 0
        """FLOPs of convolutions and matrix products."""
        self.batch_norm = 0
        """FLOPs of batch norm."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False, so that PyTorch does not import its compiler, which is not used here."""
        return False

    @property
    def total(self) -> int:
        """All FLOPs counted."""
        return self.products + self.batch_norm

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - PyTorch's signature
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Execute one operator and count its FLOPs."""
        output = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in PRODUCTS:
            self.products += PRODUCTS[packet](args, output)
        elif packet in BATCH_NORMS:
            self.batch_norm += 2 * int(args[0].numel())
        return output
