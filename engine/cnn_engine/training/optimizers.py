"""The optimizers, over one flat tensor.

They call PyTorch's fused kernels directly: the constructor of `torch.optim.Adam` imports PyTorch's
compiler although nothing is compiled, which costs two seconds at every start and 135 MB.
The learning rate is a tensor on the device, so that a captured step (see `step_graphs.py`) follows
the schedule and commands.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from cnn_engine.config.schema import OptimizerConfig
from cnn_engine.training.flat_parameters import FlatParameters, Segment
from cnn_engine.training.orthogonal import Orthogonalizer

GPU_SLICES = 32
"""Number of slices of the flat tensor on a GPU: as many as fit into one launch. A fused kernel uses
only a few multiprocessors per tensor of its list, and one tensor of 650,000 weights takes three
times as long as its slices."""


class ParamGroup(NamedTuple):
    """Parameters with the same learning rate and weight decay."""

    slices: list[slice]
    """Their positions in the flat tensor."""

    lr_scale: float
    """Their learning rate relative to the optimizer's."""

    weight_decay: float
    """Their weight decay."""

    def views(self, flat: Tensor) -> list[Tensor]:
        """Return views of their slices of a flat tensor."""
        return [flat[slice_] for slice_ in self.slices]

    def lr(self, lr: Tensor) -> Tensor:
        """Return their learning rate, given the optimizer's."""
        return lr if self.lr_scale == 1 else lr * self.lr_scale


class Optimizer:
    """Common part of all optimizers: learning rates, clipping, and flat state tensors.

    It has the attributes that `torch.amp.GradScaler` requires of an optimizer.
    """

    def __init__(self, weights: Tensor, config: OptimizerConfig, groups: list[ParamGroup]) -> None:
        """Optimize `weights`, a flat fp32 tensor with a `grad` that is filled before each step."""
        assert weights.grad is not None  # noqa: S101 - as documented
        self.base_lr = config.lr
        """Learning rate before the schedule's factor; commands and rollbacks change it."""
        self.current_lr = torch.full((), config.lr, device=weights.device)
        """Learning rate of the next step, `base_lr` × factor: fp32 [] on the weights' device."""
        self.param_groups = [{"params": [weights]}]
        self._weights, self._config, self._groups = weights.detach(), config, groups
        self._gradient = weights.grad
        self._state: dict[str, Tensor] = {}
        self._unclipped_norm = torch.zeros((), device=weights.device)
        """Norm of the latest gradient before it was clipped."""

    @torch.no_grad()
    def step(self) -> None:
        """Update the weights once with `current_lr`, without a host sync."""
        if self._config.clip_norm is not None:
            norm = clip_grad_norm_(self.param_groups[0]["params"], self._config.clip_norm)
            self._unclipped_norm.copy_(norm)
        self._step()

    def _step(self) -> None:
        raise NotImplementedError

    def norms(self) -> Tensor:
        """Return the norms of the latest gradient before clipping, and of the weights.

        Returns:
            fp32 [2], on the weights' device.
        """
        is_clipped, norm = self._config.clip_norm is not None, torch.linalg.vector_norm
        gradient_norm = self._unclipped_norm if is_clipped else norm(self._gradient)
        return torch.stack([gradient_norm, norm(self._weights)])

    @property
    def flat_tensors(self) -> list[Tensor]:
        """The weights, and the state tensors with a value for each of them."""
        states = self._state.values()
        return [self._weights, *(state for state in states if state.shape == self._weights.shape)]

    def state_dict(self) -> dict[str, Tensor | float]:
        """Return the base learning rate as `lr`, and the state tensors; not copies."""
        return {"lr": self.base_lr, **self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.base_lr = float(state["lr"])
        for name, values in self._state.items():
            values.copy_(state[name])


class Adam(Optimizer):
    """Kingma and Ba, 2015, fused; decoupled (`adamw`): Loshchilov and Hutter, 2019."""

    grad_scale: Tensor
    """Factor that the gradients are scaled by; set by `GradScaler` during its `step` only."""

    found_inf: Tensor
    """1.0 if gradients overflowed and the step must be skipped; set by `GradScaler` too."""

    def __init__(self, weights: Tensor, config: OptimizerConfig, groups: list[ParamGroup]) -> None:
        super().__init__(weights, config, groups)
        # With clipping, GradScaler must unscale before `step`; without, the fused kernel does.
        self._step_supports_amp_scaling = config.clip_norm is None
        self._state = {
            "mean": torch.zeros_like(self._weights),
            "square": torch.zeros_like(self._weights),
            "steps": torch.zeros((), device=weights.device),
        }

    def _step(self) -> None:
        steps, found_inf = self._state["steps"], getattr(self, "found_inf", None)
        steps.add_(1)
        update = torch._fused_adamw_ if self._config.name == "adamw" else torch._fused_adam_
        for group in self._groups:
            update(
                group.views(self._weights),
                group.views(self._gradient),
                group.views(self._state["mean"]),
                group.views(self._state["square"]),
                [],
                [steps] * len(group.slices),
                lr=group.lr(self.current_lr),
                beta1=0.9,
                beta2=0.999,
                weight_decay=group.weight_decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
                grad_scale=getattr(self, "grad_scale", None),
                found_inf=found_inf,
            )
        if found_inf is not None:
            steps.sub_(found_inf)


class Sgd(Optimizer):
    """SGD with Nesterov momentum, fused."""

    def __init__(self, weights: Tensor, config: OptimizerConfig, groups: list[ParamGroup]) -> None:
        super().__init__(weights, config, groups)
        self._state = {"momentum": torch.zeros_like(self._weights)}

    def _step(self) -> None:
        for group in self._groups:
            self._descend(group)

    def _descend(self, group: ParamGroup) -> None:
        momentum = self._config.momentum
        torch._fused_sgd_(
            group.views(self._weights),
            group.views(self._gradient),
            group.views(self._state["momentum"]) if momentum else [],
            weight_decay=group.weight_decay,
            momentum=momentum,
            lr=group.lr(self.current_lr),
            dampening=0.0,
            nesterov=momentum > 0,
            maximize=False,
            is_first_step=False,
        )


class Muon(Sgd):
    """Muon for the weights of convolutions and linear layers, `Sgd` for all other parameters.

    K. Jordan and others, 2024 (kellerjordan.github.io/posts/muon). As `torch.optim.Muon` with
    Nesterov momentum and its "original" learning rate. Its momentum is an average of gradients,
    that of `Sgd` a sum.
    """

    def __init__(
        self,
        weights: Tensor,
        config: OptimizerConfig,
        groups: list[ParamGroup],
        matrices: list[Segment],
    ) -> None:
        """Optimize `weights`; those at `matrices` are in no group."""
        super().__init__(weights, config, groups)
        flats = self._weights, self._gradient, self._state["momentum"]
        self._matrices, self._gradients, self._momenta = (_views(flat, matrices) for flat in flats)
        self._orthogonalize = Orthogonalizer(self._matrices)
        roots = [len(matrix) ** 0.5 for matrix in self._matrices]
        self._roots = torch.tensor(roots, device=weights.device)
        """Frobenius norms of orthogonal matrices with the same number of rows."""

    def _step(self) -> None:
        super()._step()
        if self._config.normalise:
            scales = self._roots / torch.stack(torch._foreach_norm(self._matrices))
            for matrix, scale in zip(self._matrices, scales, strict=True):
                matrix.mul_(scale)
        momentum = self._config.momentum
        torch._foreach_lerp_(self._momenta, self._gradients, 1 - momentum)
        updates = torch._foreach_lerp(self._gradients, self._momenta, momentum)
        if decay := self._config.weight_decay:
            torch._foreach_mul_(self._matrices, 1 - self.current_lr * decay)
        steps = self._orthogonalize(list(updates), -self.current_lr)
        torch._foreach_add_(self._matrices, steps)


def _views(flat: Tensor, segments: list[Segment]) -> list[Tensor]:
    """Return the matrices [filters or units, inputs] at `segments` of a flat tensor, as views."""
    return [flat[segment.start : segment.end].view(segment.rows, -1) for segment in segments]


def build_optimizer(config: OptimizerConfig, weights: FlatParameters) -> Optimizer:
    """Return the optimizer that the config names."""
    segments, is_muon = weights.segments, config.name == "muon"
    matrices = [segment for segment in segments if is_muon and segment.kind == "weight"]
    others = [segment for segment in segments if segment not in matrices]
    groups = _sliced(_param_groups(config, others), weights.flat.device)
    match config.name:
        case "adam" | "adamw":
            return Adam(weights.flat, config, groups)
        case "sgd":
            return Sgd(weights.flat, config, groups)
        case "muon":
            return Muon(weights.flat, config, groups, matrices)


def _param_groups(config: OptimizerConfig, segments: Iterable[Segment]) -> list[ParamGroup]:
    """Group segments by learning rate and weight decay; adjacent ones become one slice."""
    rates = {
        "weight": config.lr,
        "bias_norm": config.bias_norm_lr or config.lr,
        "classifier": config.head_lr or config.lr,
    }
    slices: dict[tuple[float, float], list[slice]] = {}
    for segment in segments:
        has_decay = config.decay_bias_norm or segment.kind != "bias_norm"
        lr_scale = rates[segment.kind] / config.lr
        # lr · weight_decay is the same for all groups: one with a higher lr has a smaller decay.
        weight_decay = config.weight_decay / lr_scale if has_decay else 0.0
        group = slices.setdefault((lr_scale, weight_decay), [])
        if group and group[-1].stop == segment.start:
            group[-1] = slice(group[-1].start, segment.padded_end)
        else:
            group.append(slice(segment.start, segment.padded_end))
    return [ParamGroup(found, *settings) for settings, found in slices.items()]


def _sliced(groups: list[ParamGroup], device: torch.device) -> list[ParamGroup]:
    """Return the groups with long slices cut up on a GPU."""
    if device.type != "cuda":
        return groups
    count = sum(part.stop - part.start for group in groups for part in group.slices)
    size = max(1, -(-count // GPU_SLICES))
    return [
        group._replace(
            slices=[
                slice(start, min(start + size, part.stop))
                for part in group.slices
                for start in range(part.start, part.stop, size)
            ]
        )
        for group in groups
    ]
