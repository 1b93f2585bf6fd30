"""Adam over one flat tensor."""

from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Kingma and Ba, 2015, in PyTorch's fused arithmetic and with its defaults.

    `torch.optim.Adam` is the same, but imports PyTorch's compiler when it is made, though nothing
    is compiled: two seconds of every start, and 135 MB. What has the attributes of this class is an
    optimizer to `torch.amp.GradScaler`.
    """

    grad_scale: Tensor
    """What gradients have been multiplied with; there only while a scaler's step goes on."""

    found_inf: Tensor
    """1.0 where gradients overflowed, so that the step must change nothing; there likewise."""

    _step_supports_amp_scaling = True

    def __init__(self, weights: Tensor, lr: float) -> None:
        """Take weights, a flat fp32 tensor whose `grad` is set before each step."""
        self.lr = lr
        self.param_groups = [{"params": [weights]}]
        self._weights = weights
        self._mean, self._square = torch.zeros_like(weights), torch.zeros_like(weights)
        self._steps = torch.zeros((), device=weights.device)

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights once."""
        assert self._weights.grad is not None  # noqa: S101 - see __init__
        adam(
            [self._weights],
            [self._weights.grad],
            [self._mean],
            [self._square],
            [],
            [self._steps],
            fused=True,
            grad_scale=getattr(self, "grad_scale", None),
            found_inf=getattr(self, "found_inf", None),
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.lr,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Tensor | float]:
        """All that training on needs; the tensors are its own, not copies."""
        return {
            "lr": self.lr,
            "mean": self._mean,
            "square": self._square,
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state that `state_dict` gave."""
        self.lr = float(state["lr"])
        self._mean.copy_(state["mean"])
        self._square.copy_(state["square"])
        self._steps.copy_(state["steps"])
