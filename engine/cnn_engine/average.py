"""An average of the weights over the last steps, which is often better than the weights at the end.

Polyak and Juditsky, 1992, in the exponential form; and `lookahead` (Zhang and others, 2019,
arXiv:1907.08610) as airbench has it (K. Jordan, 2024, arXiv:2404.00498).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from cnn_engine.config import AverageConfig
from cnn_engine.weights import Weights


class Average:
    """The average of a model's weights, and of the figures that its normalisation keeps."""

    def __init__(self, config: AverageConfig, model: nn.Module, weights: Weights) -> None:
        """Begin with the weights as they are."""
        self._config, self._weights = config, weights
        kept = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        self._values = [weights.flat.detach(), *kept]
        self._averages = [values.clone() for values in self._values]
        self._steps = 0

    @torch.no_grad()
    def step_done(self, progress: float) -> None:
        """Take the weights into the average, if this is a step in which that is done.

        Args:
            progress: Steps done of all steps, 0 to 1.
        """
        self._steps += 1
        if self._steps % self._config.every:
            return
        decay = self._decay(progress)
        for average, values in zip(self._averages, self._values, strict=True):
            average.lerp_(values, 1 - decay)
            if self._config.kind == "lookahead":
                values.copy_(average)
        if self._config.kind == "lookahead":
            self._weights.publish()

    def _decay(self, progress: float) -> float:
        """Share of the average that stays, less at first, when the weights are far from good."""
        if self._config.kind == "lookahead":
            return self._config.decay * progress**3
        updates = self._steps // self._config.every
        return min(self._config.decay, (1 + updates) / (10 + updates))

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
        return {"model": state, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state that `state_dict` gave."""
        mine = {name: values.clone() for name, values in self._weights.state_dict().items()}
        self._weights.load_state_dict(state["model"])
        for average, values in zip(self._averages, self._values, strict=True):
            average.copy_(values)
        self._weights.load_state_dict(mine)
        self._steps = int(state["steps"])
