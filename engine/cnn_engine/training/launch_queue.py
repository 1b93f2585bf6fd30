"""Limits how far the host launches steps ahead of the GPU, so that commands take effect quickly."""

from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

AHEAD_SECONDS = 0.05
"""GPU time that is launched ahead, in seconds: longer than other threads hold the GIL, and too
short to be noticed when a run is paused or stopped."""

MARK_SECONDS = 0.01
"""GPU time between two events that measure its progress."""


class _Mark(NamedTuple):
    step: int
    event: torch.cuda.Event


class HostCopy:
    """A copy on the host of a tensor that the device may not have computed yet."""

    def __init__(self, values: Tensor) -> None:
        """Launch the copy of `values`, which the host does not wait for on CUDA."""
        self._values = values.to("cpu", non_blocking=values.is_cuda)
        self._done: torch.cuda.Event | None = None
        if values.is_cuda:
            self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            self._done.record()

    @property
    def is_done(self) -> bool:
        """True once the device has computed and copied the tensor."""
        return self._done is None or bool(self._done.query())  # type: ignore[no-untyped-call]

    def read(self) -> list[float]:
        """Return the values of a 1D tensor; wait for them if needed."""
        if self._done is not None:
            self._done.synchronize()
        values: list[float] = self._values.tolist()
        return values


class LaunchQueue:
    """Counts launched and finished steps; on devices other than CUDA they are the same."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._is_asynchronous = device.type == "cuda"
        self._copies = torch.cuda.Stream(device) if self._is_asynchronous else None  # type: ignore[no-untyped-call]
        self._marks: deque[_Mark] = deque()
        self._last: _Mark | None = None
        self._step_seconds = 0.0
        self._marked_step = 0
        self.done = 0
        """Steps of the epoch that are known to be finished."""

    def begin(self, step: int) -> None:
        """Begin an epoch with `step` finished steps."""
        self._marks.clear()
        self._last = None
        self._marked_step = self.done = step

    def launched(self, step: int) -> None:
        """Set the number of launched steps; wait if the GPU is too far behind."""
        if not self._is_asynchronous:
            self.done = step
            return
        if (
            step - self._marked_step
        ) * self._step_seconds >= MARK_SECONDS or not self._step_seconds:
            event = torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]
            event.record()
            self._marks.append(_Mark(step, event))
            self._marked_step = step
        while self._marks and self._marks[0].event.query():  # type: ignore[no-untyped-call]
            self._pop()
        while len(self._marks) > 1 and self._is_far_ahead(step):
            self._marks[0].event.synchronize()
            self._pop()

    def _is_far_ahead(self, step: int) -> bool:
        return not self._step_seconds or (step - self.done) * self._step_seconds > AHEAD_SECONDS

    def _pop(self) -> None:
        """Remove the first event, which the GPU has reached."""
        mark = self._marks.popleft()
        if self._last is not None and mark.step > self._last.step:
            seconds = self._last.event.elapsed_time(mark.event) / 1000
            self._step_seconds = seconds / (mark.step - self._last.step)
        self._last, self.done = mark, mark.step

    def wait(self, step: int) -> None:
        """Wait until all launched steps, `step` of the epoch, are finished."""
        if self._is_asynchronous:
            torch.cuda.current_stream(self._device).synchronize()
        self._marks.clear()
        self._last = None
        self._marked_step = self.done = step

    def to_host(self, values: Tensor) -> Tensor:
        """Copy results of finished steps to the host, without waiting for later steps."""
        if self._copies is None:
            return values.cpu()
        with torch.cuda.stream(self._copies):
            return values.cpu()
