"""Keeps the margins of an epoch's training images on the device, without a host sync.

A step only copies its logits. Once many steps have done so, and at the end of the epoch, the
margins are computed from all of them at once: on a GPU each operation of a step costs as much as
one on a thousand times the data.
"""

from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor

from cnn_engine.distributed.processes import ALONE, Processes
from cnn_engine.results.margins import LARGEST, NOT_RECORDED, SCALE, ZERO, row_bytes

LOGITS_BYTES = 2**22
"""Maximum size of the logits kept; at least those of one step."""


class EpochMargins:
    """Margins of the images of an epoch, in the epoch's order."""

    def __init__(
        self,
        sizes: list[int],
        class_count: int,
        targets: Callable[[int, int], Tensor],
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        """Allocate the logits and the margins.

        Args:
            sizes: Images in each batch of all processes.
            class_count: Number of classes.
            targets: Returns the given classes of this process's images in the steps from the first
                to before the second number, int64 [steps, largest share] on the device.
            device: Device of the logits.
            processes: The processes that share each batch.
        """
        self._targets, self._processes = targets, processes
        self._row_bytes = row_bytes(class_count)
        ends = [*accumulate(sizes)]
        shares = [processes.share(size) for size in sizes]
        self._ends = [0, *ends]
        starts = zip(self._ends, shares, strict=False)
        self._starts = torch.tensor([start + share.start for start, share in starts], device=device)
        """int64 [steps], position in the epoch of this process's first image."""
        self._counts = torch.tensor([share.stop - share.start for share in shares], device=device)
        """int64 [steps], images of this process."""
        width = processes.largest_share(max(sizes))
        self._columns = torch.arange(width, device=device)
        slots = min(len(sizes), max(1, LOGITS_BYTES // (4 * width * class_count)))
        self._logits = torch.zeros(slots, width, class_count, device=device)
        """fp32 [slots, largest share, classes], of the latest steps."""
        self._rows = torch.zeros(ends[-1] + 1, self._row_bytes, dtype=torch.uint8, device=device)
        """uint8 [images + 1, row_bytes], as in the file; the last row is of no image. All zeros
        where other processes compute."""
        self._launched = self._done = 0

    def reset(self) -> None:
        """Clear all margins, before the first step of an epoch."""
        self._rows.zero_()

    def begin(self, step: int) -> None:
        """Start after `step` finished steps of an epoch."""
        self._launched = self._done = step

    def add(self, logits: Tensor, step: Tensor) -> None:
        """Keep the logits of a step; everything it reads and writes is on the device.

        Args:
            logits: [n, classes].
            step: int64 [1], the step, counted from 0.
        """
        slot = step.remainder(len(self._logits))
        self._logits[:, : len(logits)].index_copy_(0, slot, logits.detach().float()[None])

    def launched(self, step: int) -> None:
        """Set the number of launched steps; compute margins if their logits fill their place."""
        self._launched = step
        if step % len(self._logits) == 0 or step == len(self._starts):
            self._compute()

    def _compute(self) -> None:
        """Compute the margins of the launched steps."""
        first, end = self._done, self._launched
        if first == end:
            return
        slot = first % len(self._logits)
        logits, targets = self._logits[slot : slot + end - first], self._targets(first, end)
        given = logits.gather(2, targets[:, :, None])
        others, strongest = logits.scatter(2, targets[:, :, None], -torch.inf).max(dim=2)
        steps = ((given.squeeze(2) - others).asinh() * SCALE).round().clamp(-LARGEST, LARGEST)
        columns = [(steps + ZERO).nan_to_num(NOT_RECORDED), strongest % 256, strongest // 256]
        rows = torch.stack(columns[: self._row_bytes], dim=2).byte()
        self._rows.index_copy_(0, self._positions(first, end).flatten(), rows.flatten(0, 1))
        self._done = end

    def _positions(self, first: int, end: int) -> Tensor:
        """Return the rows of the images of some steps, int64 [steps, largest share]."""
        positions = self._starts[first:end, None] + self._columns
        is_own = self._columns < self._counts[first:end, None]
        return torch.where(is_own, positions, len(self._rows) - 1)

    def rows(self, step: int) -> Tensor:
        """Return the margins of all processes in the first `step` steps, which are launched.

        All processes must call it. It waits for the device.

        Returns:
            uint8 [images, row_bytes], as in the file but in the epoch's order, on the host.
        """
        self._compute()
        rows = self._rows[: self._ends[step]].clone()
        self._processes.add(rows)
        return rows.cpu()

    def restore(self, rows: Tensor) -> None:
        """Restore what `rows` returned."""
        if self._processes.is_first:
            self._rows[: len(rows)] = rows.to(self._rows.device)
