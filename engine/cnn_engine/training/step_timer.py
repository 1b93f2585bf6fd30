"""Measures the phases of training steps, without a host sync."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple, TypeAlias

import torch

Phase: TypeAlias = Literal["data", "forward", "backward", "exchange", "optimizer", "other"]

SAMPLE_EVERY = 4
"""Interval in steps between measured steps: enough for an estimate every half second."""

Stamp: TypeAlias = float | torch.cuda.Event


class Span(NamedTuple):
    """A phase of one step, between two timestamps."""

    phase: Phase
    start: Stamp
    end: Stamp


class StepTimer:
    """Times the phases of every `SAMPLE_EVERY`-th step; on a GPU by CUDA events, read later."""

    def __init__(self, device: torch.device) -> None:
        # Other devices, such as MPS, compute asynchronously and are not measured.
        stamps: dict[str, Callable[[], Stamp]] = {"cpu": time.perf_counter, "cuda": _cuda_stamp}
        self._stamp = stamps.get(device.type)
        self._step = 0
        self._last: Stamp | None = None
        self._spans: list[Span] = []
        self._is_off = False

    def begin_step(self) -> None:
        """Begin a step."""
        if self._is_off:
            return
        self._step += 1
        is_sampled = self._step % SAMPLE_EVERY == 0
        self._last = self._stamp() if is_sampled and self._stamp else None

    def sample_next(self) -> None:
        """Measure the next step."""
        self._step = SAMPLE_EVERY - 1

    def end_step(self) -> None:
        """End a step; the time until the next one begins, such as a pause, is not measured."""
        self.mark("other")
        self._last = None

    @contextmanager
    def off(self) -> Iterator[None]:
        """Measure nothing within the block, such as a step that is captured but not run."""
        self._is_off, self._last = True, None
        try:
            yield
        finally:
            self._is_off = False

    def mark(self, phase: Phase) -> None:
        """Assign the time since the last call to a phase."""
        if self._last is None or self._stamp is None:
            return
        now = self._stamp()
        self._spans.append(Span(phase, self._last, now))
        self._last = now

    def pop_fractions(self) -> dict[Phase, float]:
        """Return each phase's fraction of the time measured since the last call; may be empty."""
        reached = [span for span in self._spans if _is_reached(span.end)]
        self._spans = self._spans[len(reached) :]
        seconds: dict[Phase, float] = {}
        for span in reached:
            before = seconds.get(span.phase, 0.0)
            seconds[span.phase] = before + _seconds_between(span.start, span.end)
        total = sum(seconds.values())
        return {phase: spent / total for phase, spent in seconds.items()} if total else {}


def _cuda_stamp() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def _is_reached(stamp: Stamp) -> bool:
    return isinstance(stamp, float) or bool(stamp.query())  # type: ignore[no-untyped-call]


def _seconds_between(start: Stamp, end: Stamp) -> float:
    if isinstance(start, torch.cuda.Event):
        assert isinstance(end, torch.cuda.Event)  # noqa: S101 - stamps of a device have one type
        return float(start.elapsed_time(end)) / 1000
    assert isinstance(end, float)  # noqa: S101
    return end - start
