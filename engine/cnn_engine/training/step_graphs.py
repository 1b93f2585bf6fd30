"""The training step as a CUDA graph: captured once, then replayed by one call from the host.

A step of a small network is a hundred kernels of a few microseconds, and PyTorch takes longer to
launch each than the GPU to compute it. A graph launches them all at once. The step itself is the
same function everywhere: on other devices, and until it is captured, it is called.
"""

import gc
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

import torch
from torch import nn

from cnn_engine.training.step_timer import StepParts

Kind = TypeVar("Kind")

WARM_UP_CALLS = 2
"""Steps that are called before the first is captured: in the first cuDNN chooses algorithms, in the
second the host is watched. Of other kinds one is called."""

MAX_STALE_ERRORS = 3
"""Times that the driver may report the error of a broken capture again."""

TIMED_EVERY = 2_000
"""Of replayed steps one in so many is called instead, to time its parts."""


class StepGraphs(Generic[Kind]):
    """Calls a step, or replays it."""

    def __init__(
        self,
        step: Callable[[Kind], None],
        model: nn.Module,
        device: torch.device,
        parts: StepParts,
        *,
        captures: bool,
    ) -> None:
        """Take a step, which is to be captured if `captures`.

        Args:
            step: Reads and writes tensors that stay where they are; may do otherwise for each kind.
            model: That the step trains.
            device: Where it computes.
            parts: Times the steps that are called.
            captures: Whether steps are to be captured.
        """
        self._step, self._model, self._device, self._parts = step, model, device, parts
        self._captures = captures
        self._graphs: dict[Kind, torch.cuda.CUDAGraph] = {}
        self._calls: Counter[Kind] = Counter()
        self._replays = 0
        self._pool: tuple[int, int] | None = None
        self.news: list[str] = []
        """Results of capturing, to be taken away by whoever reports them: "" once steps are
        replayed, or the reason why they are not."""

    def run(self, kind: Kind) -> None:
        """Do the next step."""
        graph = self._graphs.get(kind)
        if graph is not None:
            self._replays += 1
            if self._replays % TIMED_EVERY:
                graph.replay()
            else:
                self._parts.sample_next()
                self._step(kind)
            return
        enough = 1 if self._graphs else WARM_UP_CALLS
        if self._captures and self._calls[kind] >= enough and self._capture(kind):
            self._graphs[kind].replay()
            return
        self._calls[kind] += 1
        if self._captures and self._calls[kind] == enough:
            self._call_watched(kind)
        else:
            self._step(kind)

    def _call_watched(self, kind: Kind) -> None:
        """Call the step, and see that the host did nothing that a replay would leave out."""
        before = HostState(self._model)
        self._step(kind)
        if reason := before.changes():
            self._give_up(reason)

    def _capture(self, kind: Kind) -> bool:
        """Record the step, which does not do it; return whether that went well."""
        generator = torch.cuda.default_generators[self._device.index]
        random_state = generator.clone_state()
        stream, graph = torch.cuda.current_stream(self._device), torch.cuda.CUDAGraph()
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        try:
            # Garbage of earlier graphs must not be freed meanwhile; other threads may use the GPU.
            with (
                _no_garbage_collection(),
                self._parts.off(),
                torch.cuda.graph(
                    graph,
                    pool=self._pool,  # type: ignore[arg-type]
                    capture_error_mode="thread_local",
                ),
            ):
                self._step(kind)
        except Exception as error:  # noqa: BLE001 - a network of the user's own may do anything
            torch.cuda.set_stream(stream)
            self._clean_up(generator, random_state)
            self._give_up(_text(error.__context__ or error))
            return False
        if not self._graphs:
            self.news.append("")
        self._graphs[kind] = graph
        return True

    def _clean_up(self, generator: torch.Generator, random_state: torch.Generator) -> None:
        """Undo what a broken capture leaves, as PyTorch does only for one that ends well."""
        generator.graphsafe_set_state(random_state)
        with suppress(RuntimeError):  # where the allocator has been told already
            torch._C._cuda_endAllocateToPool(
                self._device.index,
                self._pool,  # type: ignore[arg-type]  # there is one by now
            )
        for _ in range(MAX_STALE_ERRORS):
            try:
                torch.zeros(1, device=self._device)
                torch.cuda.synchronize(self._device)
            except RuntimeError:  # the capture's error, which the driver tells once more
                continue
            return

    def _give_up(self, reason: str) -> None:
        """Call all steps from now on."""
        self._captures = False
        self._graphs.clear()
        for parameter in self._model.parameters():
            parameter.grad = None  # as it may lie in a graph's memory
        self.news.append(reason)
        gc.collect()  # an error holds what the capture had made of the model, on another stream


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class HostState:
    """The host's random states and the model's plain attributes, which a replay never changes."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._random = _random_states()
        self._attributes = plain_attributes(model)

    def changes(self) -> str:
        """Return what has changed since, as a reason not to replay; empty if nothing has."""
        if _random_states() != self._random:
            return "the model draws random numbers on the host"
        now = plain_attributes(self._model)
        changed = [name for name, value in now.items() if self._attributes.get(name) != value]
        if changed:
            return f"the model changes its attribute {changed[0]} in a step"
        return ""


def _random_states() -> tuple[object, ...]:
    numpy = sys.modules.get("numpy")
    states: list[object] = [random.getstate(), torch.get_rng_state().numpy().tobytes()]
    if numpy is not None:
        kind, keys, *rest = numpy.random.get_state()
        states += [kind, keys.tobytes(), *rest]
    return tuple(states)


def plain_attributes(model: nn.Module) -> dict[str, object]:
    """Return numbers, texts and the like that modules keep, by name."""
    return {
        f"{name}.{attribute}".removeprefix("."): value
        for name, module in model.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, bool | int | float | str | None)
    }
