"""Layers of a model with their output shapes, parameters and FLOPs, from one forward pass."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from cnn_engine.inspection.eval_mode import eval_mode
from cnn_engine.inspection.flops import FlopCounter
from cnn_engine.results.model_layers import Layer, Layers


@dataclass
class _Frame:
    """A module whose forward pass has started and not ended."""

    start: int
    """FLOPs counted before."""

    inner: int = 0
    """FLOPs of the modules within it."""


@dataclass
class _Cost:
    """Output shape of a module for one image, and its FLOPs for the batch."""

    output: tuple[int, ...] = ()
    flops: int = 0


class _Profiler:
    """Forward hooks that record each module's output and FLOPs, without its submodules'."""

    def __init__(self, counter: FlopCounter) -> None:
        self.costs: dict[nn.Module, _Cost] = {}
        self._counter = counter
        self._frames: list[_Frame] = []

    def before(self, _module: nn.Module, _arguments: object) -> None:
        self._frames.append(_Frame(self._counter.total))

    def after(self, module: nn.Module, _arguments: object, output: object) -> None:
        frame = self._frames.pop()
        total = self._counter.total - frame.start
        if self._frames:
            self._frames[-1].inner += total
        cost = self.costs.setdefault(module, _Cost())
        cost.flops += total - frame.inner
        if isinstance(output, Tensor):
            cost.output = tuple(output.shape[1:])


def inspect_layers(model: nn.Module, images: Tensor) -> Layers:
    """Return leaf modules, and others with parameters or FLOPs of their own, in execution order.

    Args:
        model: Any module that takes images; its modes and the random states are restored.
        images: float [n, C, H, W], normalized; one is enough.
    """
    names = {module: name for name, module in model.named_modules()}
    with eval_mode(model), FlopCounter() as counter, ExitStack() as hooks:
        profiler = _Profiler(counter)
        for module in names:
            hooks.enter_context(module.register_forward_pre_hook(profiler.before))
            hooks.enter_context(module.register_forward_hook(profiler.after))
        model(images)
    costs = profiler.costs
    unused = {module: _Cost() for module in names if module not in costs}
    return Layers(
        input=tuple(images.shape[1:]),
        layers=tuple(
            Layer(
                name=names[module],
                kind=type(module).__name__,
                detail=_detail(module),
                output=cost.output,
                parameters=_own_parameters(module),
                flops=cost.flops // len(images),
            )
            for module, cost in (costs | unused).items()
            if _computes(module, cost)
        ),
    )


def _computes(module: nn.Module, cost: _Cost) -> bool:
    is_leaf = next(module.children(), None) is None
    return bool((is_leaf and cost.output) or cost.flops or _own_parameters(module))


def _own_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))


def _detail(module: nn.Module) -> str:
    """Return the kernel size, and the stride unless it is the default; empty without a kernel."""
    kernel = getattr(module, "kernel_size", None)
    if kernel is None:
        return ""
    default = 1 if isinstance(module, nn.Conv2d) else kernel
    stride = getattr(module, "stride", default)
    text = "×".join(map(str, as_pair(kernel)))
    return text if as_pair(stride) == as_pair(default) else f"{text} /{as_pair(stride)[0]}"


def as_pair(size: Any) -> tuple[Any, ...]:  # noqa: ANN401 - modules have a number or a tuple
    """Return (height, width) of a size that may be one number for both."""
    return tuple(size) if isinstance(size, tuple | list) else (size, size)
