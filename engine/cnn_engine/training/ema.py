"""Average of the weights over the last steps, often more accurate than the latest weights.

Polyak and Juditsky, 1992, in the exponential form; and `lookahead` (Zhang and others, 2019,
arXiv:1907.08610) as in airbench (K. Jordan, 2024, arXiv:2404.00498).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cnn_engine.config.schema import AverageConfig
from cnn_engine.models.finite import infinite_buffers
from cnn_engine.training.flat_parameters import FlatParameters


class WeightEMA:
    """Average of a model's weights and of its floating-point buffers, such as BatchNorm's means."""

    def __init__(self, config: AverageConfig, model: nn.Module, weights: FlatParameters) -> None:
        """Start with the current weights."""
        self._config, self._weights = config, weights
        ignored = infinite_buffers(model)  # constants, whose average would be NaN
        buffers = [
            buffer
            for name, buffer in model.named_buffers()
            if buffer.is_floating_point() and name not in ignored
        ]
        self._values = [weights.flat.detach(), *buffers]
        self._averages = [values.clone() for values in self._values]
        self._is_applied = False
        self.steps = 0
        """Finished steps."""

    def is_due(self) -> bool:
        """Return True if the next step updates the average."""
        return (self.steps + 1) % self._config.every == 0

    def weight(self, ahead: int, progress: float) -> float:
        """Return the weight of the current parameters in the average after a later step.

        Early steps have a larger weight, because parameters then change fast.

        Args:
            ahead: Steps from now, counted from 1.
            progress: Finished steps as a fraction of all by then, 0 to 1.
        """
        if self._config.kind == "lookahead":
            return 1 - self._config.decay * progress**3
        updates = (self.steps + ahead) // self._config.every
        return 1 - min(self._config.decay, (1 + updates) / (10 + updates))

    @torch.no_grad()
    def update(self, weight: Tensor) -> None:
        """Update the average.

        Args:
            weight: fp32 [], on the device of the weights: the value of `weight()` for this step.
        """
        for average, values in zip(self._averages, self._values, strict=True):
            average.lerp_(values, weight)
            if self._config.kind == "lookahead":
                values.copy_(average)
        if self._config.kind == "lookahead":
            self._weights.copy_to_model()

    def averages_of(self, values: list[Tensor]) -> list[Tensor]:
        """Return the averages of some of the model's floating-point buffers, not copied."""
        wanted = {*map(id, values)}
        pairs = zip(self._values, self._averages, strict=True)
        return [average for value, average in pairs if id(value) in wanted]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use the average as the model's weights within the block."""
        with self._swapped(is_applied=True):
            yield

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Use the trained weights within the block, also inside `applied`."""
        with self._swapped(is_applied=False):
            yield

    @contextmanager
    def _swapped(self, *, is_applied: bool) -> Iterator[None]:
        if self._is_applied == is_applied:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for average, values in zip(self._averages, self._values, strict=True):
            other = values.clone()
            values.copy_(average)
            average.copy_(other)
        self._weights.copy_to_model()
        self._is_applied = not self._is_applied

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the averaged weights by name, and the number of steps."""
        with self.applied():
            state = {name: values.clone() for name, values in self._weights.state_dict().items()}
        return {"model": state, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        trained = {name: values.clone() for name, values in self._weights.state_dict().items()}
        self._weights.load_state_dict(state["model"])
        for average, values in zip(self._averages, self._values, strict=True):
            average.copy_(values)
        self._weights.load_state_dict(trained)
        self.steps = int(state["steps"])
