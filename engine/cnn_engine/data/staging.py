"""Images that do not fit the GPU: gathered and copied ahead of the steps that train on them.

A thread gathers a batch into pinned memory while earlier ones are copied on a stream of their own
and the GPU computes on those before. Nothing of it changes what a step computes.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from cnn_engine.data.loader import TensorLoader

AHEAD_BYTES = 64 << 20
"""Images that are gathered or copied ahead, as far as `MIN_DEPTH` and `MAX_DEPTH` allow: enough for
the steps to go on while another thread has Python's lock."""

MIN_DEPTH, MAX_DEPTH = 3, 32
"""Batches ahead."""


class Staging:
    """The next batch of images in one place on the device, where a step looks for it."""

    def __init__(self, batches: TensorLoader, batch_size: int) -> None:
        self._source, self._device = batches.images, batches.device
        shape = (batch_size, *self._source.shape[1:])
        is_cuda = self._device.type == "cuda"
        self._stream = torch.cuda.Stream(self._device) if is_cuda else None  # type: ignore[no-untyped-call]
        self.images = torch.zeros(shape, dtype=torch.uint8, device=self._device)
        """uint8 [batch size, H, W, C] on the device, of the step that comes next."""
        depth = max(MIN_DEPTH, min(MAX_DEPTH, AHEAD_BYTES // self.images.nbytes))
        self._free = deque(
            _Slot(torch.empty(shape, dtype=torch.uint8, pin_memory=is_cuda), self.images)
            for _ in range(depth)
        )
        self._pool = ThreadPoolExecutor(1, "staging")
        self._order: Iterator[Tensor] = iter(())
        self._ahead: deque[tuple[_Slot, Future[int]]] = deque()

    def begin(self, order: list[Tensor]) -> None:
        """Begin to gather batches, each of the images at its indices, int64 [n] on the host."""
        self._drop()
        self._order = iter(order)
        for _ in range(len(self._free)):
            self._gather_next()

    def next(self) -> None:
        """Bring the next batch to `images`, once the steps that were launched are done with it."""
        slot, future = self._ahead.popleft()
        count = future.result()
        with self._on_stream():
            slot.copy_to_device(count, self._stream)
        if self._stream is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
        self.images[:count].copy_(slot.on_device[:count])
        slot.is_done_with(self._device)
        self._free.append(slot)
        self._gather_next()

    def close(self) -> None:
        """End the thread."""
        self._drop()
        self._pool.shutdown()

    def _gather_next(self) -> None:
        indices = next(self._order, None)
        if indices is not None:
            slot = self._free.popleft()
            self._ahead.append((slot, self._pool.submit(slot.gather, self._source, indices)))

    def _drop(self) -> None:
        """Forget what is gathered, as where an epoch was cut short."""
        while self._ahead:
            slot, future = self._ahead.popleft()
            future.cancel() or future.result()
            self._free.append(slot)

    def _on_stream(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self._stream) if self._stream is not None else nullcontext()


class _Slot:
    """A batch on its way: pinned on the host, and on the device."""

    def __init__(self, on_host: Tensor, like: Tensor) -> None:
        self.on_host, self.on_device = on_host, torch.empty_like(like)
        self._copied: torch.cuda.Event | None = None
        self._used: torch.cuda.Event | None = None

    def gather(self, source: Tensor, indices: Tensor) -> int:
        """Gather images into pinned memory, in the thread; return how many."""
        if self._copied is not None:
            self._copied.synchronize()  # an earlier batch may still be on its way from there
        torch.index_select(source, 0, indices, out=self.on_host[: len(indices)])
        return len(indices)

    def copy_to_device(self, count: int, stream: torch.cuda.Stream | None) -> None:
        """Copy the images to the device, on the current stream."""
        if stream is not None and self._used is not None:
            stream.wait_event(self._used)
        self.on_device[:count].copy_(self.on_host[:count], non_blocking=True)
        if stream is not None:
            self._copied = stream.record_event()

    def is_done_with(self, device: torch.device) -> None:
        """Say that the current stream has taken the images from the device's copy."""
        if device.type == "cuda":
            self._used = torch.cuda.current_stream(device).record_event()
