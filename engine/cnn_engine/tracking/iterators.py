"""Iterators over epochs and batches, which count, pause and stop."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import perf_counter
from typing import Generic, Protocol, TypeVar

Batch = TypeVar("Batch")


class CountsEpochs(Protocol):
    """A run as epochs need it."""

    def planned_epochs(self, epochs: int | None) -> range | None:
        """Return the epochs to iterate over, counted from 0; None without an end."""

    def begin_epochs(self, epochs: int | None, *, are_given: bool = False) -> int:
        """Begin to iterate; return the first epoch, counted from 0."""

    def begin_epoch(self, epoch: int) -> bool:
        """Begin an epoch, counted from 0; return False if there is none."""

    def end_epoch(self, *, is_complete: bool) -> None:
        """End the epoch."""


class CountsSteps(Protocol):
    """A run as steps need it."""

    def begin_pass(self, loader: object) -> bool:
        """Begin a pass through the data; return False if the loop is to end."""

    def begin_step(self) -> bool:
        """Wait while the run is paused; return False if the loop is to end."""

    def count_step(self, seconds: float) -> None:
        """Count a step that waited so long for its batch."""

    def end_pass(self) -> None:
        """End the pass, as there are no more batches."""

    def wait_while_paused(self) -> None:
        """Wait while the run is paused."""


class Epochs:
    """Numbers of epochs from 0, as `range` has them."""

    def __init__(self, run: CountsEpochs, epochs: int | None) -> None:
        self._run, self._epochs = run, epochs

    def __len__(self) -> int:
        planned = self._run.planned_epochs(self._epochs)
        if planned is None:
            raise TypeError("the number of epochs is not known")
        return len(planned)

    def __iter__(self) -> Iterator[int]:
        if self._epochs is not None and self._epochs <= 0:
            return
        epoch = self._run.begin_epochs(self._epochs)
        while self._run.begin_epoch(epoch):
            is_complete = False
            try:
                yield epoch
                is_complete = True  # not if the loop is left
            finally:
                self._run.end_epoch(is_complete=is_complete)
            epoch += 1


class GivenEpochs(Generic[Batch]):
    """Epochs over the items of something that the loop gives."""

    def __init__(self, run: CountsEpochs, items: Iterable[Batch]) -> None:
        self._run, self._items = run, items

    def __len__(self) -> int:
        return len(self._items)  # type: ignore[arg-type]  # raises TypeError if it has no length

    def __iter__(self) -> Iterator[Batch]:
        length: int | None = None
        with suppress(TypeError):
            length = len(self)
        if length == 0:
            return
        epoch = self._run.begin_epochs(length, are_given=True)
        for item in self._items:
            if not self._run.begin_epoch(epoch):
                return
            is_complete = False
            try:
                yield item
                is_complete = True  # not if the loop is left
            finally:
                self._run.end_epoch(is_complete=is_complete)
            epoch += 1


class Steps(Generic[Batch]):
    """Batches of a loader, each of which is a step, unless they are those of a validation."""

    def __init__(self, run: CountsSteps, loader: Iterable[Batch]) -> None:
        self._run, self._loader = run, loader

    def __len__(self) -> int:
        return len(self._loader)  # type: ignore[arg-type]  # raises TypeError if it has no length

    def __iter__(self) -> Iterator[Batch]:
        run = self._run
        if _is_validation():
            for batch in self._loader:
                run.wait_while_paused()
                yield batch
            return
        if not run.begin_pass(self._loader):
            return
        batches = iter(self._loader)
        while run.begin_step():
            began = perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                run.end_pass()
                return
            run.count_step(perf_counter() - began)
            yield batch


def _is_validation() -> bool:
    """Return True if PyTorch computes no gradients now."""
    torch = sys.modules.get("torch")
    return torch is not None and not torch.is_grad_enabled()
