"""A model's weights in one flat tensor, and the copy in low precision that the arithmetic uses."""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Where one of the model's parameters lies in the flat tensor."""

    kind: Literal["matrix", "vector", "head"]
    """Filters or a dense layer's matrix; a bias or what scales a normalisation; or the matrix of
    the last dense layer, which gives the scores."""

    start: int
    end: int
    padded_end: int
    """First place that the next parameter may have; the values from `end` to here stay 0."""
    rows: int
    """Filters or units: how often a matrix's segment is to be cut to have its rows."""


ALIGNMENT = 16
"""Values after which a parameter may begin in the flat tensor: 32 bytes in bf16. On a GPU the
libraries choose kernels that fail on tensors that begin anywhere."""


class Weights:
    """All weights that a model learns as one fp32 tensor, which an optimizer updates in one pass.

    The model's own parameters become views: with `low`, those of convolutions and dense layers
    into a copy in that type, all others into the flat tensor itself. The values are those of
    autocast, which casts every weight in every step, and every gradient back.
    """

    def __init__(self, model: nn.Module, low: torch.dtype | None) -> None:
        """Take over the model's parameters; the model must be on its device already.

        Args:
            model: Keeps its parameters' names, values, shapes and memory formats.
            low: The type that convolutions and dense layers compute in; None for fp32.
        """
        self._model = model
        arithmetic = {
            parameter
            for module in model.modules()
            if low is not None and isinstance(module, nn.Conv2d | nn.Linear)
            for parameter in module.parameters(recurse=False)
            if parameter.requires_grad
        }
        learned = [each for each in model.parameters() if each.requires_grad]
        self._parameters = sorted(learned, key=lambda each: each not in arithmetic)
        self.flat = nn.Parameter(torch.cat([_padded(each) for each in self._parameters]))
        """fp32 [weights and what pads them], what the optimizer changes."""
        self._gradient = self.flat.grad = torch.zeros_like(self.flat)
        self._values = self._views(self.flat.detach())
        self._gradients = self._views(self._gradient)
        low_count = sum(_padded_size(parameter) for parameter in arithmetic)
        self._high = self.flat.detach()[:low_count]
        self._low = self._high.to(low)
        for parameter, values in zip(self._parameters, self._values, strict=True):
            parameter.data = values
        for parameter, values in zip(self._parameters, self._views(self._low), strict=False):
            parameter.data = values

    def _views(self, flat: Tensor) -> list[Tensor]:
        """Views of the flat values, in order, in the parameters' shapes and memory formats."""
        return [
            flat[start : start + parameter.numel()].as_strided(parameter.shape, parameter.stride())
            for parameter, (start, end) in zip(self._parameters, self._places(), strict=True)
            if end <= len(flat)
        ]

    def _places(self) -> list[tuple[int, int]]:
        """Return where each parameter begins in the flat tensor, and where the next does."""
        return [*pairwise(accumulate(map(_padded_size, self._parameters), initial=0))]

    @property
    def segments(self) -> list[Segment]:
        """The parameters' places, in their order in the flat tensor."""
        matrices = [each for each in self._model.parameters() if each.dim() > 1]
        head = matrices[-1] if matrices and matrices[-1].dim() == 2 else None
        return [
            Segment(
                kind="head" if each is head else "matrix" if each.dim() > 1 else "vector",
                start=start,
                end=start + each.numel(),
                padded_end=end,
                rows=len(each) if each.dim() else 1,
            )
            for each, (start, end) in zip(self._parameters, self._places(), strict=True)
        ]

    def clear_gradients(self) -> None:
        """Forget the gradients, before a backward pass makes new ones."""
        for parameter in self._parameters:
            parameter.grad = None

    def gather_gradients(self) -> None:
        """Bring the gradients to the flat tensor, after the backward pass."""
        flat, found = [], []
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            if parameter.grad is None:
                gradient.zero_()
            else:
                flat.append(gradient)
                found.append(parameter.grad)
        torch._foreach_copy_(flat, found)

    def publish(self) -> None:
        """Bring the changed weights to the model, after the optimizer's step."""
        self._low.copy_(self._high)

    def state_dict(self) -> dict[str, Tensor]:
        """The model's state with its weights in fp32, as the plain model would give it."""
        return dict(self._model.state_dict()) | self._named_values()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over a state that `state_dict` gave."""
        self._model.load_state_dict(state)
        for name, values in self._named_values().items():
            values.copy_(state[name])

    def _named_values(self) -> dict[str, Tensor]:
        return self.by_name(self.flat.detach())

    def by_name(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of flat values, such as an optimizer's, by the parameters' names.

        Their order in the flat tensor is another one in another precision; names are not.
        """
        values = dict(zip(self._parameters, self._views(flat), strict=True))
        return {
            name: values[parameter]
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad
        }

    def flattened(self, named: dict[str, Tensor]) -> Tensor:
        """Values by name, as one flat tensor: what `by_name` took apart."""
        flat = torch.zeros_like(self.flat)
        for name, values in self.by_name(flat.detach()).items():
            values.copy_(named[name])
        return flat.detach()

    def are_finite(self) -> bool:
        """Whether every weight, and every figure that normalisation keeps, is a number."""
        kept = [buffer for buffer in self._model.buffers() if buffer.is_floating_point()]
        values = (self.flat.detach(), *kept)
        return bool(torch.stack([each.isfinite().all() for each in values]).all())


def _padded_size(parameter: nn.Parameter) -> int:
    """Return the values that a parameter takes in the flat tensor."""
    return -(-parameter.numel() // ALIGNMENT) * ALIGNMENT


def _padded(parameter: nn.Parameter) -> Tensor:
    """Return its values as they lie in memory, fp32, and zeros behind them."""
    values = parameter.detach()
    if values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last):
        values = values.permute(0, 2, 3, 1)
    missing = _padded_size(parameter) - parameter.numel()
    return pad(values.reshape(-1).float(), (0, missing))
