"""The training step as a CUDA graph: captured once, then replayed by one call from the host.

A step of a small network runs a hundred kernels of a few microseconds each, and launching a kernel
takes longer than running it. A graph launches all of them at once. On other devices, and until it
is captured, the same step function is called.
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

from cnn_engine.training.step_timer import StepTimer

Kind = TypeVar("Kind")

WARM_UP_CALLS = 2
"""Steps that are called before the first capture: cuDNN chooses algorithms in the first, and the
second is checked for changes of host state. Before later captures one step is called."""

MAX_STALE_ERRORS = 3
"""Maximum number of times that CUDA reports the error of a failed capture again."""

MAX_GRAPHS = 16
"""Maximum number of graphs, one per kind of step. A model that changes an attribute in every epoch
has a new kind each time, and without a limit the graphs would fill the memory."""

TIMED_EVERY = 2_000
"""Interval in steps at which a step is called instead of replayed, to time its phases."""


class StepGraphs(Generic[Kind]):
    """Calls a step or replays its CUDA graph."""

    def __init__(  # noqa: PLR0913 - a step and the state that a capture must check
        self,
        step: Callable[[Kind], None],
        model: nn.Module,
        device: torch.device,
        timer: StepTimer,
        report_capture: Callable[[str], None],
        *,
        captures: bool,
    ) -> None:
        """Prepare to run `step`.

        Args:
            step: Reads and writes tensors at fixed addresses; may differ by kind.
            model: The model that the step trains.
            device: The device that it computes on.
            timer: Times the steps that are called.
            report_capture: Called once: with "" after the first capture, or with the reason why
                steps cannot be captured.
            captures: True to capture steps.
        """
        self._step, self._model, self._device, self._timer = step, model, device, timer
        self._captures, self._report_capture = captures, report_capture
        self._graphs: dict[Kind, torch.cuda.CUDAGraph] = {}
        self._calls: Counter[Kind] = Counter()
        self._replays = 0
        self._pool: tuple[int, int] | None = None

    def run(self, kind: Kind) -> None:
        """Run the next step."""
        graph = self._graphs.get(kind)
        if graph is not None:
            self._replays += 1
            if self._replays % TIMED_EVERY:
                graph.replay()
            else:
                self._timer.sample_next()
                self._step(kind)
            return
        warm_up = 1 if self._graphs else WARM_UP_CALLS
        if self._captures and self._calls[kind] >= warm_up and self._capture(kind):
            self._graphs[kind].replay()
            return
        self._calls[kind] += 1
        if self._captures and self._calls[kind] == warm_up:
            self._call_and_check(kind)
        else:
            self._step(kind)

    def _call_and_check(self, kind: Kind) -> None:
        """Call the step; stop capturing if it changes host state, because a replay would not."""
        before = HostState(self._model)
        self._step(kind)
        if reason := before.changes():
            self._give_up(reason)

    def _capture(self, kind: Kind) -> bool:
        """Capture the step without running it; return True on success."""
        generator = torch.cuda.default_generators[self._device.index]
        random_state = generator.clone_state()
        stream, graph = torch.cuda.current_stream(self._device), torch.cuda.CUDAGraph()
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        try:
            # Earlier graphs must not be freed during the capture; other threads may use the GPU.
            with (
                _no_garbage_collection(),
                self._timer.off(),
                torch.cuda.graph(
                    graph,
                    pool=self._pool,  # type: ignore[arg-type]
                    capture_error_mode="thread_local",
                ),
            ):
                self._step(kind)
        except Exception as error:  # noqa: BLE001 - a user's network may raise anything
            torch.cuda.set_stream(stream)
            self._clean_up(generator, random_state)
            self._give_up(_error_text(error.__context__ or error))
            return False
        if not self._graphs:
            self._report_capture("")
        if len(self._graphs) >= MAX_GRAPHS:
            del self._graphs[next(iter(self._graphs))]
        self._graphs[kind] = graph
        return True

    def _clean_up(self, generator: torch.Generator, random_state: torch.Generator) -> None:
        """Reset PyTorch's state after a failed capture, which PyTorch itself does not."""
        generator.graphsafe_set_state(random_state)
        with suppress(RuntimeError):  # the allocator may have ended already
            torch._C._cuda_endAllocateToPool(
                self._device.index,
                self._pool,  # type: ignore[arg-type]  # there is one by now
            )
        for _ in range(MAX_STALE_ERRORS):
            try:
                torch.zeros(1, device=self._device)
                torch.cuda.synchronize(self._device)
            except RuntimeError:  # the capture's error, reported again
                continue
            return

    def _give_up(self, reason: str) -> None:
        """Stop capturing: call all steps from now on, and report the reason."""
        self._captures = False
        self._graphs.clear()
        for parameter in self._model.parameters():
            parameter.grad = None  # may be in a graph's memory pool
        self._report_capture(reason)
        gc.collect()  # frees the tensors of the failed capture that the error refers to


def _error_text(error: BaseException) -> str:
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
    """Random states on the host and plain attributes of the model, which a replay cannot change."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._random = _random_states()
        self._attributes = plain_attributes(model)

    def changes(self) -> str:
        """Return the reason why steps cannot be replayed, if the state has changed; else ""."""
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
    """Return the modules' attributes that are numbers, strings or None, by name."""
    return {
        f"{name}.{attribute}".removeprefix("."): value
        for name, module in model.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, bool | int | float | str | None)
    }
