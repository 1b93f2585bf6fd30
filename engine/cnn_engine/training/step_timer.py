"""Where the time of the steps goes, measured on some of them without making the device wait."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple, TypeAlias

import torch

Part: TypeAlias = Literal["data", "forward", "backward", "optimizer", "other"]

SAMPLE_EVERY = 4
"""One step in so many is measured: often enough to be right within an event's half second."""

Stamp: TypeAlias = float | torch.cuda.Event


class Span(NamedTuple):
    """A part of one step, between two stamps."""

    part: Part
    start: Stamp
    end: Stamp


class StepParts:
    """Times the parts of every few steps; on a GPU by its own clock, read when it has passed."""

    def __init__(self, device: torch.device) -> None:
        # What other devices compute goes on behind the host's back, and is not measured.
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
        """Measure the next step, whichever it is."""
        self._step = SAMPLE_EVERY - 1

    def end_step(self) -> None:
        """End a step; what comes until the next begins, such as a pause, is no part of any."""
        self.done("other")
        self._last = None

    @contextmanager
    def off(self) -> Iterator[None]:
        """Time nothing meanwhile, as in a step that is captured and not done."""
        self._is_off, self._last = True, None
        try:
            yield
        finally:
            self._is_off = False

    def done(self, part: Part) -> None:
        """All since the last call was this part."""
        if self._last is None or self._stamp is None:
            return
        now = self._stamp()
        self._spans.append(Span(part, self._last, now))
        self._last = now

    def take_shares(self) -> dict[Part, float]:
        """The share of each part, 0 to 1, in what was measured since; empty if nothing was."""
        passed = [span for span in self._spans if _is_past(span.end)]
        self._spans = self._spans[len(passed) :]
        seconds: dict[Part, float] = {}
        for span in passed:
            before = seconds.get(span.part, 0.0)
            seconds[span.part] = before + _seconds_between(span.start, span.end)
        total = sum(seconds.values())
        return {part: spent / total for part, spent in seconds.items()} if total else {}


def _cuda_stamp() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def _is_past(stamp: Stamp) -> bool:
    return isinstance(stamp, float) or bool(stamp.query())  # type: ignore[no-untyped-call]


def _seconds_between(start: Stamp, end: Stamp) -> float:
    if isinstance(start, torch.cuda.Event):
        assert isinstance(end, torch.cuda.Event)  # noqa: S101 - all stamps of a device are alike
        return float(start.elapsed_time(end)) / 1000
    assert isinstance(end, float)  # noqa: S101
    return end - start
