"""Finds weights that are NaN or infinite."""

from collections.abc import Collection, Mapping

from torch import Tensor, nn


def infinite_buffers(model: nn.Module) -> frozenset[str]:
    """Return the names of a new model's buffers that are not finite, such as attention masks."""
    buffers = dict(model.named_buffers(remove_duplicate=False))
    return frozenset(name for name in buffers if non_finite_name({name: buffers[name]}))


def non_finite_name(weights: Mapping[str, Tensor], ignored: Collection[str] = ()) -> str:
    """Return the name of the first tensor with values that are not finite; empty if there is none.

    Args:
        weights: Tensors by name.
        ignored: Names that are not checked.
    """
    checked = (name for name in weights if name not in ignored)
    return next((name for name in checked if not weights[name].isfinite().all()), "")
