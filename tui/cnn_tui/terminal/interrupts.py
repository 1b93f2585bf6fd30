"""Ctrl-c during work in a pool of threads or processes, where KeyboardInterrupt could deadlock."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class DeferredInterrupt:
    """A SIGINT that is held until it is safe to raise; a second one is raised immediately."""

    def __init__(self) -> None:
        self._is_pending = False

    def handle(self, *_: object) -> None:
        """Handle a signal."""
        if self._is_pending:
            raise KeyboardInterrupt
        self._is_pending = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal is pending."""
        if self._is_pending:
            raise KeyboardInterrupt


@contextmanager
def deferred_interrupts() -> Iterator[DeferredInterrupt]:
    """Defer SIGINT within the context, in which `check` must be called between pieces of work."""
    interrupt = DeferredInterrupt()
    previous = signal.signal(signal.SIGINT, interrupt.handle)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)
