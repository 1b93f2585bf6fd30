"""Limit on the memory of images that are decoded at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from types import ModuleType

UNIT_BYTES = 64 << 20
"""Memory is counted in units of this size; images that need less are not counted."""

UNITS = 16
"""Units for all images together, 1 GiB; one that needs more is decoded while no other is."""


class MemoryBudget:
    """Memory that large images wait for, shared by threads or by processes."""

    def __init__(self, context: BaseContext | ModuleType = threading) -> None:
        """Create the budget with the locks of `threading`, or of a multiprocessing context."""
        self._gate, self._units = context.Lock(), context.Semaphore(UNITS)

    @contextmanager
    def reserved(self, count: int) -> Iterator[None]:
        """Reserve `count` bytes, at most the whole budget, within the block."""
        units = min(UNITS, count // UNIT_BYTES)
        if units:
            with self._gate:  # two that wait for each other's units would wait forever
                for _ in range(units):
                    self._units.acquire()
        try:
            yield
        finally:
            for _ in range(units):
                self._units.release()
