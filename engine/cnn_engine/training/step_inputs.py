"""The batches of an epoch's steps, made on the device: a step asks for the next one.

What a step needs to know stands in tables on the device, one row a step, so that the same code
without arguments makes every batch, whether it is called or replayed from a CUDA graph.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from cnn_engine.data.augment import AugmentParams
from cnn_engine.data.loader import TensorLoader, batch_sizes
from cnn_engine.data.staging import Staging


class EpochPlan(NamedTuple):
    """The images of an epoch's steps, on the host."""

    order: Tensor
    """int64 [M], the images in the epoch's order."""

    table: Tensor
    """int64 [steps, rows, batch size]: of each image which it is, and how it is to be seen."""


def plan_epoch(order: Tensor, views: AugmentParams | None, batch_size: int) -> EpochPlan:
    """Cut an epoch into batches.

    Args:
        order: int64 [M], the images in the epoch's order.
        views: How each is to be seen, in that order; None where as they are.
        batch_size: Images in each batch but the last.
    """
    rows = order[None] if views is None else torch.cat([order[None], views.pack()])
    steps = len(batch_sizes(len(order), batch_size))
    padded = pad(rows, (0, steps * batch_size - len(order)))
    table = padded.view(len(rows), steps, batch_size).transpose(0, 1).contiguous()
    return EpochPlan(order, table)


class EpochPlans:
    """Makes the plan of each epoch; where that is worth it, while the one before is trained."""

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
    """Images and labels of each step, and the numbers that the host has for it."""

    def __init__(
        self, batches: TensorLoader, image_count: int, batch_size: int, views: AugmentParams | None
    ) -> None:
        """Make the tables.

        Args:
            batches: The images.
            image_count: Images in an epoch.
            batch_size: Images in each batch but the last.
            views: Any views such as the epochs will have; None where images are seen as they are.
        """
        self._batches, self._batch_size = batches, batch_size
        steps, device = len(batch_sizes(image_count, batch_size)), batches.device
        self._views = None if views is None else views.to(device)
        rows = 1 if views is None else 1 + len(views.pack())
        self._table = torch.zeros(steps, rows, batch_size, dtype=torch.int64, device=device)
        """int64 [steps, rows, images]: which image, and how it is to be seen."""
        self._scalars = torch.zeros(steps, 2, device=device)
        self._step = torch.zeros(1, dtype=torch.int64, device=device)
        """int64 [1], steps that are done of the epoch."""
        self._places = torch.arange(batch_size, device=device)
        self._staging = Staging(batches, batch_size) if batches.is_staged else None

    def begin_epoch(self, plan: EpochPlan, done: int) -> None:
        """Take the plan of an epoch, of which so many steps are done already."""
        self._table.copy_(plan.table)
        self._step.fill_(done)
        if self._staging is not None:
            self._staging.begin([*torch.split(plan.order, self._batch_size)][done:])

    def set_scalars(self, first: int, values: list[tuple[float, float]]) -> None:
        """Set two numbers for each step of the epoch from the `first` on (from 0)."""
        if values:
            self._scalars[first : first + len(values)].copy_(torch.tensor(values))

    def stage(self) -> None:
        """Have the next step's images on the device; to be called on the host before each step."""
        if self._staging is not None:
            self._staging.next()

    def close(self) -> None:
        """End the thread that stages images, if there is one."""
        if self._staging is not None:
            self._staging.close()

    def scalars(self) -> tuple[Tensor, Tensor]:
        """Return the step's two numbers, fp32 [] each."""
        first, second = self._scalars.index_select(0, self._step)[0]
        return first, second

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Return the step's images, float [size, C, H, W], and labels, int64 [size]."""
        row = self._table.index_select(0, self._step)[0, :, :size]
        chosen = row[0]
        if self._staging is None:
            images, places = self._batches.images, chosen
        else:
            images, places = self._staging.images, self._places[:size]
        if self._views is None:
            pixels = images.index_select(0, places)
        else:
            pixels = self._views.unpack(row[1:]).apply(images, places)
        return self._batches.normalize(pixels), self._batches.labels.index_select(0, chosen)

    def record(self, losses: Tensor, loss: Tensor) -> None:
        """Put the step's loss, fp32 [], in its place in losses, fp32 [steps]; the step is done."""
        losses.index_copy_(0, self._step, loss.float().view(1))
        self._step.add_(1)
