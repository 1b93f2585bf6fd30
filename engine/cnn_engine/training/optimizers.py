"""The optimizers, over one flat tensor.

They are PyTorch's own fused kernels without its classes: `torch.optim.Adam` and the like import
PyTorch's compiler when they are made, though nothing is compiled: two seconds of every start, and
135 MB. The learning rate of a step is a tensor on the device, so that a captured step (see
`step_graphs.py`) follows a schedule and a command alike.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from cnn_engine.config.schema import OptimizerConfig
from cnn_engine.training.flat_parameters import Segment, Weights
from cnn_engine.training.orthogonal import Orthogonalizer

GPU_PIECES = 32
"""A fused kernel of a GPU gives each tensor of a list few of its processors: one flat tensor of
650,000 weights takes three times as long whole as in pieces. More do not go into one launch."""


class Group(NamedTuple):
    """Weights that are treated alike."""

    places: list[slice]
    """Where they lie in the flat tensor."""

    ratio: float
    """Their learning rate, divided by the optimizer's."""

    decay: float
    """Their weight decay, for that learning rate."""

    def of(self, flat: Tensor) -> list[Tensor]:
        """Return their part of a flat tensor, as views."""
        return [flat[place] for place in self.places]

    def lr(self, lr: Tensor) -> Tensor:
        """Return their learning rate, where the optimizer's is `lr`."""
        return lr if self.ratio == 1 else lr * self.ratio


class Optimizer:
    """What all have: a learning rate, and state in tensors as long as the flat one.

    What has these attributes is an optimizer to `torch.amp.GradScaler`.
    """

    def __init__(self, weights: Tensor, config: OptimizerConfig, groups: list[Group]) -> None:
        """Take weights, a flat fp32 tensor whose `grad` is set, and filled before each step."""
        assert weights.grad is not None  # noqa: S101 - see above
        self.lr = config.lr
        """Learning rate that the schedule's factor is applied to; commands change it."""
        self.current_lr = torch.full((), config.lr, device=weights.device)
        """Learning rate of the next step, fp32 [] on the device of the weights."""
        self.param_groups = [{"params": [weights]}]
        self._weights, self._config, self._groups = weights.detach(), config, groups
        self._gradient = weights.grad
        self._state: dict[str, Tensor] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights once, by `current_lr`. Nothing here waits for a GPU."""
        if self._config.clip_norm is not None:
            clip_grad_norm_(self.param_groups[0]["params"], self._config.clip_norm)
        self._step()

    def _step(self) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Tensor | float]:
        """Return all that training on needs; the tensors are its own, not copies."""
        return {"lr": self.lr, **self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state that `state_dict` gave."""
        self.lr = float(state["lr"])
        for name, values in self._state.items():
            values.copy_(state[name])


class Adam(Optimizer):
    """Kingma and Ba, 2015, fused; decoupled (`adamw`): Loshchilov and Hutter, 2019."""

    grad_scale: Tensor
    """What gradients have been multiplied with; there only while a scaler's step goes on."""

    found_inf: Tensor
    """1.0 where gradients overflowed, so that the step must change nothing; there likewise."""

    def __init__(self, weights: Tensor, config: OptimizerConfig, groups: list[Group]) -> None:
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
                group.of(self._weights),
                group.of(self._gradient),
                group.of(self._state["mean"]),
                group.of(self._state["square"]),
                [],
                [steps] * len(group.places),
                lr=group.lr(self.current_lr),
                beta1=0.9,
                beta2=0.999,
                weight_decay=group.decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
                grad_scale=getattr(self, "grad_scale", None),
                found_inf=found_inf,
            )
        if found_inf is not None:
            steps.sub_(found_inf)


class Sgd(Optimizer):
    """Gradient descent with Nesterov's momentum, fused."""

    def __init__(self, weights: Tensor, config: OptimizerConfig, groups: list[Group]) -> None:
        super().__init__(weights, config, groups)
        self._state = {"momentum": torch.zeros_like(self._weights)}

    def _step(self) -> None:
        for group in self._groups:
            self._descend(group)

    def _descend(self, group: Group) -> None:
        momentum = self._config.momentum
        torch._fused_sgd_(
            group.of(self._weights),
            group.of(self._gradient),
            group.of(self._state["momentum"]) if momentum else [],
            weight_decay=group.decay,
            momentum=momentum,
            lr=group.lr(self.current_lr),
            dampening=0.0,
            nesterov=momentum > 0,
            maximize=False,
            is_first_step=False,
        )


class Muon(Sgd):
    """K. Jordan and others, 2024 (kellerjordan.github.io/posts/muon), for matrices; else `Sgd`.

    As `torch.optim.Muon` with Nesterov's momentum and its "original" learning rate. Its momentum is
    an average of gradients, where that of `Sgd` is a sum.
    """

    def __init__(
        self,
        weights: Tensor,
        config: OptimizerConfig,
        groups: list[Group],
        matrices: list[Segment],
    ) -> None:
        """Take weights as others do, and which of them are matrices; these are in no group."""
        super().__init__(weights, config, groups)
        flats = self._weights, self._gradient, self._state["momentum"]
        self._matrices, self._gradients, self._momenta = (_views(flat, matrices) for flat in flats)
        self._orthogonalize = Orthogonalizer(self._matrices)
        roots = [len(matrix) ** 0.5 for matrix in self._matrices]
        self._roots = torch.tensor(roots, device=weights.device)
        """Norms of orthogonal matrices of as many rows."""

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
    """Return a flat tensor's matrices [filters or units, all else], as views."""
    return [flat[each.start : each.end].view(each.rows, -1) for each in segments]


def build_optimizer(config: OptimizerConfig, weights: Weights) -> Optimizer:
    """The optimizer that the config names."""
    segments, is_muon = weights.segments, config.name == "muon"
    matrices = [each for each in segments if is_muon and each.kind == "matrix"]
    others = [each for each in segments if each not in matrices]
    groups = _in_pieces(_groups(config, others), weights.flat.device)
    match config.name:
        case "adam" | "adamw":
            return Adam(weights.flat, config, groups)
        case "sgd":
            return Sgd(weights.flat, config, groups)
        case "muon":
            return Muon(weights.flat, config, groups, matrices)


def _groups(config: OptimizerConfig, segments: Iterable[Segment]) -> list[Group]:
    """Return the segments by how they are to be treated, neighbours joined."""
    rates = {
        "matrix": config.lr,
        "vector": config.bias_norm_lr or config.lr,
        "head": config.head_lr or config.lr,
    }
    places: dict[tuple[float, float], list[slice]] = {}
    for segment in segments:
        decays = config.decay_bias_norm or segment.kind != "vector"
        ratio = rates[segment.kind] / config.lr
        # So much a step, whatever the rate: what is multiplied with the greater rate is the less.
        treatment = ratio, config.weight_decay / ratio if decays else 0.0
        known = places.setdefault(treatment, [])
        if known and known[-1].stop == segment.start:
            known[-1] = slice(known[-1].start, segment.padded_end)
        else:
            known.append(slice(segment.start, segment.padded_end))
    return [Group(places, *treatment) for treatment, places in places.items()]


def _in_pieces(groups: list[Group], device: torch.device) -> list[Group]:
    """Return the groups with their places cut up where that is faster."""
    if device.type != "cuda":
        return groups
    count = sum(place.stop - place.start for group in groups for place in group.places)
    size = max(1, -(-count // GPU_PIECES))
    return [
        group._replace(
            places=[
                slice(start, min(start + size, place.stop))
                for place in group.places
                for start in range(place.start, place.stop, size)
            ]
        )
        for group in groups
    ]
