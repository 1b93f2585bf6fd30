"""Prefetching of batches whose images do not fit on the GPU.

A thread gathers batches into pinned memory while earlier ones are copied on a separate stream and
the GPU computes. Results do not depend on it.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from cnn_engine.data.loader import TensorLoader

AHEAD_BYTES = 64 << 20
"""Target size of the prefetched images, limited by `MIN_DEPTH` and `MAX_DEPTH`: enough to keep the
GPU busy while another thread holds the GIL."""

MIN_DEPTH, MAX_DEPTH = 3, 32
"""Limits on the number of prefetched batches."""


class Staging:
    """Prefetched batches; the next one is always at the same address on the device."""

    def __init__(self, loader: TensorLoader, batch_size: int) -> None:
        self._source, self._device = loader.images, loader.device
        shape = (batch_size, *self._source.shape[1:])
        is_cuda = self._device.type == "cuda"
        self._stream = torch.cuda.Stream(self._device) if is_cuda else None  # type: ignore[no-untyped-call]
        self.images = torch.zeros(shape, dtype=torch.uint8, device=self._device)
        """uint8 [batch size, H, W, C] on the device: batch of the next step."""
        depth = max(MIN_DEPTH, min(MAX_DEPTH, AHEAD_BYTES // self.images.nbytes))
        self._free = deque(
            _Slot(torch.empty(shape, dtype=torch.uint8, pin_memory=is_cuda), self.images)
            for _ in range(depth)
        )
        self._pool = ThreadPoolExecutor(1, "staging")
        self._order: Iterator[Tensor] = iter(())
        self._ahead: deque[tuple[_Slot, Future[int]]] = deque()

    def begin(self, order: list[Tensor]) -> None:
        """Start prefetching batches; each is given by indices, int64 [n] on the host."""
        self._drop()
        self._order = iter(order)
        for _ in range(len(self._free)):
            self._gather_next()

    def next(self) -> None:
        """Copy the next batch to `images` after the launched steps have used the previous one."""
        slot, future = self._ahead.popleft()
        count = future.result()
        with self._on_stream():
            slot.copy_to_device(count, self._stream)
        if self._stream is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
        self.images[:count].copy_(slot.on_device[:count])
        slot.mark_used(self._device)
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
        """Discard prefetched batches, e.g. after an interrupted epoch."""
        while self._ahead:
            slot, future = self._ahead.popleft()
            future.cancel() or future.result()
            self._free.append(slot)

    def _on_stream(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self._stream) if self._stream is not None else nullcontext()


class _Slot:
    """Buffers of a batch: pinned on the host, and on the device."""

    def __init__(self, on_host: Tensor, like: Tensor) -> None:
        self.on_host, self.on_device = on_host, torch.empty_like(like)
        self._copied: torch.cuda.Event | None = None
        self._used: torch.cuda.Event | None = None

    def gather(self, source: Tensor, indices: Tensor) -> int:
        """Gather images into pinned memory, in the thread; return their number."""
        if self._copied is not None:
            self._copied.synchronize()  # an earlier batch may still be copied from there
        torch.index_select(source, 0, indices, out=self.on_host[: len(indices)])
        return len(indices)

    def copy_to_device(self, count: int, stream: torch.cuda.Stream | None) -> None:
        """Copy the images to the device, on the current stream."""
        if stream is not None and self._used is not None:
            stream.wait_event(self._used)
        self.on_device[:count].copy_(self.on_host[:count], non_blocking=True)
        if stream is not None:
            self._copied = stream.record_event()

    def mark_used(self, device: torch.device) -> None:
        """Record that the current stream no longer needs the device buffer."""
        if device.type == "cuda":
            self._used = torch.cuda.current_stream(device).record_event()
