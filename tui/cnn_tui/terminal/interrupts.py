"""Ctrl-c while a pool of threads or processes works: raised amid its locks, it could hang there."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class DeferredInterrupt:
    """Whether SIGINT came; a second one interrupts at once."""

    def __init__(self) -> None:
        self._is_noted = False

    def note(self, *_: object) -> None:
        """Take a signal."""
        if self._is_noted:
            raise KeyboardInterrupt
        self._is_noted = True

    def check(self) -> None:
        """Raise what was noted, where it does no harm."""
        if self._is_noted:
            raise KeyboardInterrupt


@contextmanager
def deferred_interrupts() -> Iterator[DeferredInterrupt]:
    """Have SIGINT noted, for whoever asks between two pieces of work."""
    interrupt = DeferredInterrupt()
    before = signal.signal(signal.SIGINT, interrupt.note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
