"""A model's parameters in one flat tensor, and their low-precision copy for computation."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

ALIGNMENT = 16
"""Alignment of each parameter in elements (32 bytes in bf16): GPU libraries choose kernels that
fail on unaligned tensors."""


EXCHANGED_NUMBERS = 2
"""Numbers behind the gradient that processes exchange with it."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Position of one parameter in the flat tensor, in elements."""

    kind: Literal["weight", "bias_norm", "classifier"]
    """Weight of a convolution or linear layer; a bias or a normalization's scale; or the weight of
    the last linear layer, whose output is the logits."""

    start: int
    end: int
    padded_end: int
    """Start of the next parameter; elements from `end` on are padding and stay 0."""
    rows: int
    """First dimension: filters or units."""


class FlatParameters:
    """All trainable parameters as one fp32 tensor, so that an optimizer updates them in one pass.

    The model's own parameters become views: with a low-precision type, those of convolutions and
    linear layers are views of a copy in that type, all others of the flat tensor itself. The values
    are those of autocast, which casts every weight in every step and every gradient back.
    """

    def __init__(self, model: nn.Module, low_dtype: torch.dtype | None) -> None:
        """Replace the model's parameters by views; the model must already be on its device.

        Args:
            model: Keeps its parameters' names, values and shapes. Those that are neither contiguous
                nor channels-last become contiguous.
            low_dtype: Dtype that convolutions and linear layers compute in; None for fp32.
        """
        self._model = model
        in_low = {
            parameter
            for module in model.modules()
            if low_dtype is not None and isinstance(module, nn.Conv2d | nn.Linear)
            for parameter in module.parameters(recurse=False)
            if parameter.requires_grad
        }
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._parameters = sorted(trainable, key=lambda parameter: parameter not in in_low)
        self.flat = nn.Parameter(torch.cat([*map(_padded, self._parameters)]))
        """fp32 [elements with padding], changed by the optimizer."""
        self.exchanged = self.flat.new_zeros(len(self.flat) + EXCHANGED_NUMBERS)
        """fp32 [elements with padding + `EXCHANGED_NUMBERS`], the gradient and further numbers."""
        self._gradient = self.flat.grad = self.exchanged[: len(self.flat)]
        self._values = self._views(self.flat.detach())
        self._gradients = self._views(self._gradient)
        self.unused: list[slice] = []
        """Positions of the parameters that had no gradient in the latest step."""
        low_count = sum(map(_padded_size, in_low))
        self._master = self.flat.detach()[:low_count]
        self._low = self._master.to(low_dtype)
        for parameter, values in zip(self._parameters, self._values, strict=True):
            parameter.data = values
        for parameter, values in zip(self._parameters, self._views(self._low), strict=False):
            parameter.data = values

    def _views(self, flat: Tensor) -> list[Tensor]:
        """Return views of a flat tensor in the parameters' order, shapes and memory formats."""
        return [
            flat[start : start + parameter.numel()].as_strided(parameter.shape, _stride(parameter))
            for parameter, (start, end) in zip(self._parameters, self._bounds(), strict=True)
            if end <= len(flat)
        ]

    def _bounds(self) -> list[tuple[int, int]]:
        """Return start and padded end of each parameter in the flat tensor."""
        return [*pairwise(accumulate(map(_padded_size, self._parameters), initial=0))]

    @property
    def segments(self) -> list[Segment]:
        """The parameters' positions, in their order in the flat tensor."""
        weights = [parameter for parameter in self._model.parameters() if parameter.dim() > 1]
        classifier = weights[-1] if weights and weights[-1].dim() == 2 else None

        def kind(parameter: Tensor) -> Literal["weight", "bias_norm", "classifier"]:
            if parameter is classifier:
                return "classifier"
            return "weight" if parameter.dim() > 1 else "bias_norm"

        return [
            Segment(
                kind=kind(parameter),
                start=start,
                end=start + parameter.numel(),
                padded_end=end,
                rows=len(parameter) if parameter.dim() else 1,
            )
            for parameter, (start, end) in zip(self._parameters, self._bounds(), strict=True)
        ]

    def zero_grad(self) -> None:
        """Clear the gradients before a backward pass."""
        for parameter in self._parameters:
            parameter.grad = None

    def gather_gradients(self) -> None:
        """Copy the gradients into the flat tensor's, after the backward pass."""
        targets, sources = [], []
        self.unused = []
        for parameter, gradient, (start, end) in zip(
            self._parameters, self._gradients, self._bounds(), strict=True
        ):
            if parameter.grad is None:
                gradient.zero_()
                self.unused.append(slice(start, end))
            else:
                targets.append(gradient)
                sources.append(parameter.grad)
        torch._foreach_copy_(targets, sources)

    def copy_to_model(self) -> None:
        """Copy the fp32 master weights to the low-precision ones, after the optimizer's step."""
        self._low.copy_(self._master)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the model's `state_dict` with its weights in fp32; not copies."""
        values = self._by_parameter(self.flat.detach())
        shared = self._model.named_parameters(remove_duplicate=False)
        named = {name: values[parameter] for name, parameter in shared if parameter in values}
        return dict(self._model.state_dict()) | named

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore a state that `state_dict` returned."""
        self._model.load_state_dict(state)
        for name, values in self.by_name(self.flat.detach()).items():
            values.copy_(state[name])
        self.copy_to_model()

    def by_name(self, flat: Tensor) -> dict[str, Tensor]:
        """Return views of a flat tensor, such as an optimizer's state, by the parameters' names.

        The order in the flat tensor depends on the precision; names do not. Of the names of a
        shared parameter it has the first.
        """
        values = self._by_parameter(flat)
        named = self._model.named_parameters()
        return {name: values[parameter] for name, parameter in named if parameter in values}

    def _by_parameter(self, flat: Tensor) -> dict[nn.Parameter, Tensor]:
        return dict(zip(self._parameters, self._views(flat), strict=True))

    def flattened(self, named: dict[str, Tensor]) -> Tensor:
        """Return values by name as one flat tensor, the inverse of `by_name`."""
        flat = torch.zeros_like(self.flat)
        for name, values in self.by_name(flat.detach()).items():
            values.copy_(named[name])
        return flat.detach()

    def are_finite(self, ignored: Collection[str] = ()) -> bool:
        """Return True if all weights and all floating-point buffers but `ignored` are finite."""
        buffers = [
            buffer
            for name, buffer in self._model.named_buffers()
            if buffer.is_floating_point() and name not in ignored
        ]
        return all_finite([self.flat.detach(), *buffers])


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Return True if all values of some floating-point tensors are finite, with one host sync."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())


def _padded_size(parameter: nn.Parameter) -> int:
    """Return the number of elements that a parameter takes in the flat tensor."""
    return -(-parameter.numel() // ALIGNMENT) * ALIGNMENT


def _stride(parameter: Tensor) -> tuple[int, ...]:
    """Return its strides in the flat tensor: channels-last if it is, else contiguous."""
    if _is_channels_last(parameter):
        return parameter.stride()
    return torch.empty(parameter.shape, device="meta").stride()


def _is_channels_last(parameter: Tensor) -> bool:
    return parameter.dim() == 4 and parameter.is_contiguous(memory_format=torch.channels_last)


def _padded(parameter: nn.Parameter) -> Tensor:
    """Return its values in the order of the flat tensor, fp32 [padded size]."""
    values = parameter.detach()
    if _is_channels_last(values):
        values = values.permute(0, 2, 3, 1)
    missing = _padded_size(parameter) - parameter.numel()
    return pad(values.reshape(-1).float(), (0, missing))
