"""An average of the weights over the last steps, which is often better than the weights at the end.

Polyak and Juditsky, 1992, in the exponential form; and `lookahead` (Zhang and others, 2019,
arXiv:1907.08610) as airbench has it (K. Jordan, 2024, arXiv:2404.00498).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cnn_engine.config.schema import AverageConfig
from cnn_engine.training.flat_parameters import Weights


class Average:
    """The average of a model's weights, and of the figures that its normalisation keeps."""

    def __init__(self, config: AverageConfig, model: nn.Module, weights: Weights) -> None:
        """Begin with the weights as they are."""
        self._config, self._weights = config, weights
        kept = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        self._values = [weights.flat.detach(), *kept]
        self._averages = [values.clone() for values in self._values]
        self.steps = 0
        """Steps that are done."""

    def is_due(self) -> bool:
        """Return whether the next step takes the weights into the average."""
        return (self.steps + 1) % self._config.every == 0

    def weight(self, ahead: int, progress: float) -> float:
        """Return what the weights count in the average after a step; the average counts the rest.

        At first the weights count more, when they are far from good.

        Args:
            ahead: Steps from now, counted from 1.
            progress: Steps that are done of all steps then, 0 to 1.
        """
        if self._config.kind == "lookahead":
            return 1 - self._config.decay * progress**3
        updates = (self.steps + ahead) // self._config.every
        return 1 - min(self._config.decay, (1 + updates) / (10 + updates))

    @torch.no_grad()
    def update(self, weight: Tensor) -> None:
        """Take the weights into the average.

        Args:
            weight: fp32 [] on the device of the weights, as `weight` gives it.
        """
        for average, values in zip(self._averages, self._values, strict=True):
            average.lerp_(values, weight)
            if self._config.kind == "lookahead":
                values.copy_(average)
        if self._config.kind == "lookahead":
            self._weights.publish()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the average as its weights meanwhile."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for average, values in zip(self._averages, self._values, strict=True):
            other = values.clone()
            values.copy_(average)
            average.copy_(other)
        self._weights.publish()

    def state_dict(self) -> dict[str, Any]:
        """All that averaging on needs."""
        with self.in_place():
            state = {name: values.clone() for name, values in self._weights.state_dict().items()}
        return {"model": state, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state that `state_dict` gave."""
        mine = {name: values.clone() for name, values in self._weights.state_dict().items()}
        self._weights.load_state_dict(state["model"])
        for average, values in zip(self._averages, self._values, strict=True):
            average.copy_(values)
        self._weights.load_state_dict(mine)
        self.steps = int(state["steps"])
