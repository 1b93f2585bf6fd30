"""What a model is made of: each layer's shape, parameters and operations, from one pass."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from cnn_engine.inspection.eval_mode import eval_mode, removed
from cnn_engine.inspection.flops import FlopCount
from cnn_engine.results.model_layers import Layer, Layers


@dataclass
class _Frame:
    """A module that is being carried out."""

    began: int
    """Operations counted before."""

    inner: int = 0
    """Operations of the modules within it."""


@dataclass
class _Found:
    """What is known of a module."""

    output: tuple[int, ...] = ()
    flops: int = 0


class _Walk:
    """Notes what each module makes and what it costs, without the modules within it."""

    def __init__(self, count: FlopCount) -> None:
        self.found: dict[nn.Module, _Found] = {}
        self._count = count
        self._frames: list[_Frame] = []

    def before(self, _module: nn.Module, _arguments: object) -> None:
        self._frames.append(_Frame(self._count.total))

    def after(self, module: nn.Module, _arguments: object, output: object) -> None:
        frame = self._frames.pop()
        whole = self._count.total - frame.began
        if self._frames:
            self._frames[-1].inner += whole
        found = self.found.setdefault(module, _Found())
        found.flops += whole - frame.inner
        if isinstance(output, Tensor):
            found.output = tuple(output.shape[1:])


def inspect_layers(model: nn.Module, images: Tensor) -> Layers:
    """The modules that compute something themselves, in the order of their first result.

    Args:
        model: Any module that takes images.
        images: float [n, C, H, W], normalised; one is enough.
    """
    names = {module: name for name, module in model.named_modules()}
    with eval_mode(model), FlopCount() as count, ExitStack() as hooks:
        walk = _Walk(count)
        for module in names:
            hooks.enter_context(removed(module.register_forward_pre_hook(walk.before)))
            hooks.enter_context(removed(module.register_forward_hook(walk.after)))
        model(images)
    unused = [module for module in names if module not in walk.found]
    return Layers(
        input=tuple(images.shape[1:]),
        layers=tuple(
            Layer(
                name=names[module],
                kind=type(module).__name__,
                detail=_detail(module),
                output=found.output,
                parameters=_own_parameters(module),
                flops=found.flops // len(images),
            )
            for module, found in [*walk.found.items(), *((each, _Found()) for each in unused)]
            if _computes(module, found)
        ),
    )


def _computes(module: nn.Module, found: _Found) -> bool:
    is_leaf = next(module.children(), None) is None
    return bool((is_leaf and found.output) or found.flops or _own_parameters(module))


def _own_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))


def _detail(module: nn.Module) -> str:
    """The kernel, and the stride where it is not as is usual for such a layer."""
    kernel = getattr(module, "kernel_size", None)
    if kernel is None:
        return ""
    usual = 1 if isinstance(module, nn.Conv2d) else kernel
    stride = getattr(module, "stride", usual)
    text = "×".join(map(str, pair(kernel)))
    return text if pair(stride) == pair(usual) else f"{text} /{pair(stride)[0]}"


def pair(size: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as modules of all kinds have it
    """A size down and across, where a module may have one number for both."""
    return tuple(size) if isinstance(size, tuple | list) else (size, size)
