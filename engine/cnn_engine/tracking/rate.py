"""The learning rate of an optimizer of the loop."""

from collections.abc import Callable
from typing import Any, Protocol

GROUP_RATES = ("lr", "initial_lr", "max_lr", "min_lr")
"""Keys of a parameter group that hold its rate, or from which schedulers compute it."""


class Rate(Protocol):
    """A learning rate that may be read and changed."""

    def get(self) -> float | None:
        """Return the rate; None if it is unknown."""

    def set(self, value: float) -> None:
        """Change the rate."""


class OptimizerRate:
    """Rate of an object with `param_groups`: that of the first group."""

    def __init__(self, optimizer: Any, scheduler: Any = None) -> None:
        """Control an optimizer.

        Args:
            optimizer: The optimizer.
            scheduler: A scheduler of PyTorch that changes its rate; None without one.

        Raises:
            TypeError: it has no parameter groups.
        """
        groups = getattr(optimizer, "param_groups", None)
        if not groups or "lr" not in groups[0]:
            raise TypeError(f"{type(optimizer).__name__} has no param_groups with a rate")
        self._optimizer, self._scheduler = optimizer, scheduler

    def get(self) -> float | None:
        """Return the rate of the first group."""
        return float(self._optimizer.param_groups[0]["lr"])

    def device(self) -> object:
        """Return the device of the parameters; None if they have none."""
        parameters = self._optimizer.param_groups[0].get("params") or [None]
        return getattr(parameters[0], "device", None)

    def set(self, value: float) -> None:
        """Scale the rates of all groups so that the first one gets the value."""
        groups = self._optimizer.param_groups
        old = float(groups[0]["lr"])
        for group in groups:
            if not old:
                _put(group, "lr", value)
                continue
            for key in GROUP_RATES:
                if key in group:
                    _put(group, key, float(group[key]) * (value / old))
        if old:
            _scale_scheduler(self._scheduler, value / old)


class CallableRate:
    """Rate that a function of the loop sets."""

    def __init__(self, set_lr: Callable[[float], Any]) -> None:
        self._set_lr = set_lr

    def get(self) -> float | None:
        """Return None: only the loop knows it."""
        return None

    def set(self, value: float) -> None:
        """Call the function."""
        self._set_lr(value)


def _put(group: dict[str, Any], key: str, value: float) -> None:
    """Set a rate; one that is a tensor, as in a CUDA graph, is changed in place."""
    fill = getattr(group[key], "fill_", None)
    if fill is None:
        group[key] = value
    else:
        fill(value)


def _scale_scheduler(scheduler: Any, factor: float) -> None:
    """Scale the rates from which a scheduler computes those of the next steps."""
    if (rates := getattr(scheduler, "base_lrs", None)) is not None:
        scheduler.base_lrs = [rate * factor for rate in rates]
    for part in getattr(scheduler, "_schedulers", ()):
        _scale_scheduler(part, factor)
