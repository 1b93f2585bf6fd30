"""The optimizers, over one flat tensor.

They are PyTorch's own arithmetic without its classes: `torch.optim.Adam` and the like import
PyTorch's compiler when they are made, though nothing is compiled: two seconds of every start, and
135 MB.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim._muon import muon
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from cnn_engine.config import OptimizerConfig
from cnn_engine.weights import Segment, Weights


class Group(NamedTuple):
    """Weights that are treated alike."""

    places: list[slice]
    """Where they lie in the flat tensor."""

    ratio: float
    """Their learning rate, divided by the optimizer's."""

    decay: float
    """Their weight decay, for that learning rate."""

    def of(self, flat: Tensor) -> list[Tensor]:
        """Their part of a flat tensor, as views."""
        return [flat[place] for place in self.places]


class Optimizer:
    """What all have: a learning rate, and state in tensors as long as the flat one.

    What has these attributes is an optimizer to `torch.amp.GradScaler`.
    """

    def __init__(self, weights: Tensor, config: OptimizerConfig, groups: list[Group]) -> None:
        """Take weights, a flat fp32 tensor whose `grad` is set, and filled before each step."""
        assert weights.grad is not None  # noqa: S101 - see above
        self.lr = config.lr
        self.share = 1.0
        """What the schedule multiplies every learning rate with."""
        self.param_groups = [{"params": [weights]}]
        self._weights, self._config, self._groups = weights.detach(), config, groups
        self._gradient = weights.grad
        self._state: dict[str, Tensor] = {}

    @property
    def rate(self) -> float:
        """Learning rate of the next step, or the last."""
        return self.lr * self.share

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights once."""
        if self._config.clip_norm is not None:
            clip_grad_norm_(self.param_groups[0]["params"], self._config.clip_norm)
        self._step()

    def _step(self) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Tensor | float]:
        """All that training on needs; the tensors are its own, not copies."""
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
        # Else the scaler itself scales gradients back, before the step, and clipping needs that.
        self._step_supports_amp_scaling = config.clip_norm is None
        self._state = {
            "mean": torch.zeros_like(self._weights),
            "square": torch.zeros_like(self._weights),
            "steps": torch.zeros((), device=weights.device),
        }

    def _step(self) -> None:
        steps = self._state["steps"]
        for group in self._groups:
            counts = [steps.clone() for _ in group.places]
            adam(
                group.of(self._weights),
                group.of(self._gradient),
                group.of(self._state["mean"]),
                group.of(self._state["square"]),
                [],
                counts,
                fused=True,
                grad_scale=getattr(self, "grad_scale", None),
                found_inf=getattr(self, "found_inf", None),
                decoupled_weight_decay=self._config.name == "adamw",
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=self.rate * group.ratio,
                weight_decay=group.decay,
                eps=1e-8,
                maximize=False,
            )
        steps.copy_(counts[0])


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
        sgd(
            group.of(self._weights),
            group.of(self._gradient),
            [*group.of(self._state["momentum"])],
            fused=True,
            weight_decay=group.decay,
            momentum=momentum,
            lr=self.rate * group.ratio,
            dampening=0.0,
            nesterov=momentum > 0,
            maximize=False,
        )


class Muon(Sgd):
    """K. Jordan and others, 2024, for matrices; all else by `sgd`.

    The momentum is made orthogonal by five steps of Newton and Schulz's iteration, in bf16.
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
        self._of = _matrices_of(matrices)

    def _step(self) -> None:
        super()._step()
        matrices = self._of(self._weights)
        if self._config.normalise:
            for matrix in matrices:
                matrix.mul_(len(matrix) ** 0.5 / matrix.norm())
        muon(
            matrices,
            self._of(self._gradient),
            self._of(self._state["momentum"]),
            lr=self.rate,
            weight_decay=self._config.weight_decay,
            momentum=self._config.momentum,
            nesterov=True,
            ns_coefficients=(3.4445, -4.7750, 2.0315),
            eps=1e-7,
            ns_steps=5,
            adjust_lr_fn="original",
            has_complex=False,
        )


def _matrices_of(segments: list[Segment]) -> Callable[[Tensor], list[Tensor]]:
    """What gives a flat tensor's matrices [filters or units, all else], as views."""
    return lambda flat: [flat[each.start : each.end].view(each.rows, -1) for each in segments]


def build_optimizer(config: OptimizerConfig, weights: Weights) -> Optimizer:
    """The optimizer that the config names."""
    segments = weights.segments
    match config.name:
        case "adam" | "adamw":
            return Adam(weights.flat, config, _groups(config, segments))
        case "sgd":
            return Sgd(weights.flat, config, _groups(config, segments))
        case "muon":
            matrices = [each for each in segments if each.kind == "matrix"]
            others = [each for each in segments if each.kind != "matrix"]
            return Muon(weights.flat, config, _groups(config, others), matrices)


def _groups(config: OptimizerConfig, segments: Iterable[Segment]) -> list[Group]:
    """The segments by how they are to be treated, neighbours joined."""
    rates = {
        "matrix": config.lr,
        "vector": config.vector_lr or config.lr,
        "head": config.head_lr or config.lr,
    }
    places: dict[tuple[float, float], list[slice]] = {}
    for segment in segments:
        decays = config.decay_vectors or segment.kind != "vector"
        ratio = rates[segment.kind] / config.lr
        # So much a step, whatever the rate: what is multiplied with the greater rate is the less.
        treatment = ratio, config.weight_decay / ratio if decays else 0.0
        known = places.setdefault(treatment, [])
        if known and known[-1].stop == segment.start:
            known[-1] = slice(known[-1].start, segment.end)
        else:
            known.append(slice(segment.start, segment.end))
    return [Group(places, *treatment) for treatment, places in places.items()]
