"""The batches of an epoch, made on the device, one per step.

The inputs of all steps are in tables on the device, one row per step, so that the same code makes
every batch without arguments, when called and when replayed from a CUDA graph.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from cnn_engine.data.augment.params import AugmentParams
from cnn_engine.data.loader import TensorLoader, train_batch_sizes
from cnn_engine.data.staging import Staging
from cnn_engine.distributed.processes import ALONE, Processes


class EpochPlan(NamedTuple):
    """The images of an epoch by step, on the host."""

    order: Tensor
    """int64 [M], the images in the epoch's order."""

    table: Tensor
    """int64 [steps, 1 + rows, largest batch]: each image's index and augmentation parameters."""

    sizes: list[int]
    """Images in each batch."""

    shares: Tensor | None = None
    """fp32 [steps, 2], parts of each batch that this process computes: by the weights of the
    images in the loss, and by their number; 0 if another image stands in for none. None if this
    process computes all."""


def plan_epoch(
    order: Tensor,
    params: AugmentParams | None,
    batch_size: int,
    weights: Tensor | None = None,
    processes: Processes = ALONE,
) -> EpochPlan:
    """Cut an epoch into batches, and return this process's share of each.

    Args:
        order: int64 [M], the images in the epoch's order.
        params: Their augmentation, in that order; None without augmentation.
        batch_size: Images per batch; see `train_batch_sizes`.
        weights: fp32 [M], weights of the images in the loss, in that order; None if all are equal.
        processes: The processes that share each batch.
    """
    rows = order[None] if params is None else torch.cat([order[None], params.pack()])
    sizes = train_batch_sizes(len(order), batch_size)
    batches = torch.split(rows, sizes, dim=1)
    parts = [batch[:, _own_part(batch.shape[1], processes)] for batch in batches]
    own_sizes = [part.shape[1] for part in parts]
    width = processes.largest_share(max(sizes))
    table = torch.stack([pad(part, (0, width - part.shape[1])) for part in parts])
    own_order = torch.cat([part[0] for part in parts])
    if processes.is_alone:
        return EpochPlan(own_order, table, own_sizes)
    ones = torch.ones(len(order))
    kinds = (ones if weights is None else weights, ones)
    shares = torch.stack([_shares(kind, sizes, processes) for kind in kinds], dim=1)
    return EpochPlan(own_order, table, own_sizes, shares)


def _own_part(size: int, processes: Processes) -> slice:
    """Return this process's part of a batch; its first image if the share is empty."""
    part = processes.share(size)
    return part if part.start < part.stop else slice(0, 1)


def _shares(weights: Tensor, sizes: list[int], processes: Processes) -> Tensor:
    """Return this process's part of the sum of weights of each batch, fp32 [batches]."""
    batches = torch.split(weights, sizes)
    return torch.stack(
        [batch[processes.share(len(batch))].sum() / batch.sum() for batch in batches]
    )


class Shares(NamedTuple):
    """Parts of a batch that this process computes, fp32 [] each, from 0 to 1."""

    weights: Tensor
    """By the weights of the images in the loss."""

    images: Tensor
    """By the number of images."""


class EpochPlans:
    """Makes the plan of each epoch; with `ahead`, that of the next epoch in a thread meanwhile."""

    def __init__(self, make: Callable[[int], EpochPlan], *, ahead: bool) -> None:
        self._make = make
        self._pool = ThreadPoolExecutor(1, "plans") if ahead else None
        self._next: tuple[int, Future[EpochPlan]] | None = None

    def get(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch."""
        if self._next is not None and self._next[0] == epoch:
            plan = self._next[1].result()
        else:
            plan = self._make(epoch)
        if self._pool is not None:
            self._next = epoch + 1, self._pool.submit(self._make, epoch + 1)
        return plan

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class StepInputs:
    """Images, targets and two scalars of each step."""

    def __init__(
        self,
        loader: TensorLoader,
        image_count: int,
        batch_size: int,
        params: AugmentParams | None,
        processes: Processes = ALONE,
    ) -> None:
        """Allocate the tables.

        Args:
            loader: The images.
            image_count: Images in an epoch.
            batch_size: Images per batch; see `train_batch_sizes`.
            params: An example of the epochs' augmentation parameters; None without augmentation.
            processes: The processes that share each batch.
        """
        self._loader, device = loader, loader.device
        sizes = train_batch_sizes(image_count, batch_size)
        steps, width = len(sizes), processes.largest_share(max(sizes))
        self._params = None if params is None else params.to(device)
        rows = 1 if params is None else 1 + len(params.pack())
        self._table = torch.zeros(steps, rows, width, dtype=torch.int64, device=device)
        """int64 [steps, rows, largest batch], as in `EpochPlan`."""
        self._scalars = torch.zeros(steps, 2, device=device)
        self._shares = None if processes.is_alone else torch.zeros(steps, 2, device=device)
        self._own_part = partial(_own_part, processes=processes)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        """int64 [1], finished steps of the epoch."""
        self._positions = torch.arange(width, device=device)
        self._staging = Staging(loader, width) if loader.is_staged else None

    def begin_epoch(self, plan: EpochPlan, done: int) -> None:
        """Load the plan of an epoch with `done` finished steps."""
        self._table.copy_(plan.table)
        if self._shares is not None and plan.shares is not None:
            self._shares.copy_(plan.shares)
        self._step.fill_(done)
        if self._staging is not None:
            self._staging.begin([*torch.split(plan.order, plan.sizes)][done:])

    def set_scalars(self, first: int, values: list[tuple[float, float]]) -> None:
        """Set the two scalars of each step from `first` on, counted from 0."""
        if values:
            self._scalars[first : first + len(values)].copy_(torch.tensor(values))

    def stage(self) -> None:
        """Copy the next step's images to the device if needed; call it before each step."""
        if self._staging is not None:
            self._staging.next()

    def close(self) -> None:
        """End the thread that stages images, if there is one."""
        if self._staging is not None:
            self._staging.close()

    def scalars(self) -> tuple[Tensor, Tensor]:
        """Return the step's two scalars, fp32 [] each."""
        first, second = self._scalars.index_select(0, self._step)[0]
        return first, second

    @property
    def step(self) -> Tensor:
        """Finished steps of the epoch, int64 [1] on the device."""
        return self._step

    def targets(self, first: int, end: int) -> Tensor:
        """Return the targets of this process's images in the steps from `first` to before `end`.

        Returns:
            int64 [steps, largest share], on the device; beyond a step's images of any class.
        """
        return self._loader.labels[self._table[first:end, 0]]

    def shares(self) -> Shares | None:
        """Return the parts of the step's batch that this process computes; None if all."""
        if self._shares is None:
            return None
        return Shares(*self._shares.index_select(0, self._step)[0])

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Return this process's part of the step's batch.

        Args:
            size: Images in the batch of all processes.

        Returns:
            Images, float [n, C, H, W], and targets, int64 [n].
        """
        part = self._own_part(size)
        size = part.stop - part.start
        row = self._table.index_select(0, self._step)[0, :, :size]
        indices = row[0]
        if self._staging is None:
            images, positions = self._loader.images, indices
        else:
            images, positions = self._staging.images, self._positions[:size]
        if self._params is None:
            pixels = images.index_select(0, positions)
        else:
            pixels = self._params.unpack(row[1:]).apply(images, positions)
        return self._loader.normalize(pixels), self._loader.labels.index_select(0, indices)

    def finish_step(self, losses: Tensor, loss: Tensor) -> None:
        """Store the step's loss, fp32 [], in `losses`, fp32 [steps]; advance to the next step."""
        losses.index_copy_(0, self._step, loss.float().view(1))
        self._step.add_(1)
