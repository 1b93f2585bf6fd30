"""The processes that train one run together, and what they exchange.

Weights, optimizer and averages are the same in all of them: each computes the gradient of its share
of a batch, and the sum of the gradients is all that they need from each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


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
            dist.all_reduce(tensor)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace fp32 tensors by their mean over the processes, in place."""
        tensors = [*tensors]
        if self.is_alone or not tensors:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        dist.all_reduce(flat)
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
            dist.broadcast(values, src=0)
            tensor.detach().copy_(values)


ALONE = Processes()
"""The only process of a run."""
