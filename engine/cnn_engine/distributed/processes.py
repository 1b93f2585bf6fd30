"""The processes that train one run together, and what they exchange.

Weights, optimizer and averages are the same in all of them: each computes the gradient of its share
of a batch, and the sum of the gradients is all that they need from each other.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from cnn_engine.distributed.errors import ProcessLostError
from cnn_engine.distributed.waits import Waits


@contextmanager
def _told() -> Iterator[None]:
    """Raise `ProcessLostError` for an exchange that fails within the block."""
    try:
        yield
    except RuntimeError as error:  # of gloo and NCCL, which have no class for it
        raise ProcessLostError(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among those of its run.

    With more than one, the default group of torch.distributed must exist. Each method that
    exchanges tensors must be called by all of them, in the same order; alone it does nothing.
    """

    rank: int = 0
    """Number of this process, counted from 0."""

    count: int = 1
    """Number of processes."""

    local_rank: int = 0
    """Number of this process among those of its machine, counted from 0."""

    waits: Waits | None = None
    """Tells of long waits; None to tell nothing."""

    @property
    def is_first(self) -> bool:
        """True for the process that records the run; also if it is alone."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """True if the run has one process."""
        return self.count == 1

    def share(self, count: int) -> slice:
        """Return this process's part of some images or batches, in their order.

        The shares of all processes are contiguous and differ by at most one; some are empty if
        there are fewer images than processes.
        """
        size, more = divmod(count, self.count)
        first = self.rank * size + min(self.rank, more)
        return slice(first, first + size + (self.rank < more))

    def largest_share(self, count: int) -> int:
        """Return the size of the largest share of some images or batches."""
        return -(-count // self.count)

    def add(self, tensor: Tensor) -> None:
        """Add the tensors of the other processes to this one, in place."""
        if not self.is_alone:
            self._exchange(tensor)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace fp32 tensors by their mean over the processes, in place."""
        tensors = [*tensors]
        if self.is_alone or not tensors:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        self._exchange(flat)
        flat /= self.count
        means = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.detach().copy_(mean.view_as(tensor))

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the first process, in place."""
        if self.is_alone:
            return
        for tensor in tensors:
            values = tensor.detach().contiguous()
            with _told():
                dist.broadcast(values, src=0)
            tensor.detach().copy_(values)

    def _exchange(self, tensor: Tensor) -> None:
        """Replace a tensor by the sum of those of all processes."""
        with _told():
            if self.waits is None or tensor.device.type != "cpu":
                dist.all_reduce(tensor)
            else:
                self.waits.wait(dist.all_reduce(tensor, async_op=True))

    def gather(self, message: bytes) -> list[bytes]:
        """Return the messages of all processes, by rank."""
        if self.is_alone:
            return [message]
        own = _bytes_tensor(message)
        sizes = torch.zeros(self.count, dtype=torch.int64)
        sizes[self.rank] = len(own)
        self._exchange(sizes)
        padded = torch.zeros(self.count, int(sizes.max()), dtype=torch.uint8)
        padded[self.rank, : len(own)] = own
        self._exchange(padded)
        pairs = zip(padded, sizes.tolist(), strict=True)
        return [row[:size].numpy().tobytes() for row, size in pairs]

    def copy_file(self, file: Path | None, directory: Path) -> Path | None:
        """Give all processes the first one's file; return where this process has it.

        Args:
            file: The first process's file, or None; of no matter elsewhere.
            directory: Directory in which other processes write it.
        """
        if self.is_alone:
            return file
        content = file.read_bytes() if self.is_first and file is not None else b""
        name = file.name if self.is_first and file is not None else ""
        name = self.gather(name.encode())[0].decode()
        if not name:
            return None
        size = torch.tensor(len(content))
        with _told():
            dist.broadcast(size, src=0)
            data = _bytes_tensor(content or bytes(int(size)))
            dist.broadcast(data, src=0)
        if self.is_first:
            return file
        copy = directory / name
        copy.write_bytes(data.numpy().tobytes())
        return copy


def _bytes_tensor(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else _NO_BYTES.clone()


_NO_BYTES = torch.zeros(0, dtype=torch.uint8)

ALONE = Processes()
"""The only process of a run."""
