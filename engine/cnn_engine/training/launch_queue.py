"""Keeps the host ahead of the GPU, so that it never waits, but not far, so that stop is soon."""

from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

AHEAD_SECONDS = 0.05
"""Work of the GPU that is launched ahead: more than other threads keep Python's lock, and less than
a person notices until a pause or a stop is answered."""

MARK_SECONDS = 0.01
"""Work of the GPU between two marks that tell how far it is."""


class _Mark(NamedTuple):
    step: int
    event: torch.cuda.Event


class LaunchQueue:
    """Knows how many of the steps that were launched are done; elsewhere than on CUDA all are."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._is_asynchronous = device.type == "cuda"
        self._copies = torch.cuda.Stream(device) if self._is_asynchronous else None  # type: ignore[no-untyped-call]
        self._marks: deque[_Mark] = deque()
        self._last: _Mark | None = None
        self._seconds = 0.0
        self._marked = 0
        self.done = 0
        """Steps of the epoch that are known to be done."""

    def begin(self, step: int) -> None:
        """Begin an epoch of which so many steps are done."""
        self._marks.clear()
        self._last = None
        self._marked = self.done = step

    def launched(self, step: int) -> None:
        """Take note that so many steps of the epoch are launched; wait if that is too far ahead."""
        if not self._is_asynchronous:
            self.done = step
            return
        if (step - self._marked) * self._seconds >= MARK_SECONDS or not self._seconds:
            event = torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]
            event.record()
            self._marks.append(_Mark(step, event))
            self._marked = step
        while self._marks and self._marks[0].event.query():  # type: ignore[no-untyped-call]
            self._pass()
        while len(self._marks) > 1 and self._is_far_ahead(step):
            self._marks[0].event.synchronize()
            self._pass()

    def _is_far_ahead(self, step: int) -> bool:
        return not self._seconds or (step - self.done) * self._seconds > AHEAD_SECONDS

    def _pass(self) -> None:
        """Take note that the first mark is reached."""
        mark = self._marks.popleft()
        if self._last is not None and mark.step > self._last.step:
            seconds = self._last.event.elapsed_time(mark.event) / 1000
            self._seconds = seconds / (mark.step - self._last.step)
        self._last, self.done = mark, mark.step

    def wait(self, step: int) -> None:
        """Wait until all that is launched is done, of the epoch so many steps."""
        if self._is_asynchronous:
            torch.cuda.current_stream(self._device).synchronize()
        self._marks.clear()
        self._last = None
        self._marked = self.done = step

    def to_host(self, values: Tensor) -> Tensor:
        """Copy values that steps known to be done have made, without waiting for later steps."""
        if self._copies is None:
            return values.cpu()
        with torch.cuda.stream(self._copies):
            return values.cpu()
