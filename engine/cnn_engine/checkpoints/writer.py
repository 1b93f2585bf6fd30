"""Writes files in order: at once, or in a thread while training goes on."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

MAX_PENDING = 4
"""Files that may wait to be written; with more, training waits for the disk: memory is bounded."""


class Writer:
    """Does work that ends in a file; what came of it is told in the thread that asked for it."""

    def __init__(self, *, behind: bool) -> None:
        """Do work at once, or `behind` training: where a step takes less time than a file."""
        self._pool = ThreadPoolExecutor(1, "writer") if behind else None
        self._pending: deque[tuple[Future[str], Callable[[str], None]]] = deque()

    def write(self, work: Callable[[], str], then: Callable[[str], None]) -> None:
        """Do work after all that was given before.

        Args:
            work: Writes a file, and returns why it could not be, if so. Behind training it must
                read nothing that training changes.
            then: Told what `work` returned, in `write` itself, or in a later `poll` or `wait`.
        """
        if self._pool is None:
            then(work())
            return
        while len(self._pending) >= MAX_PENDING:
            self._wait_for_first()
        self._pending.append((self._pool.submit(work), then))

    def poll(self) -> None:
        """Tell of the work that is done."""
        while self._pending and self._pending[0][0].done():
            future, then = self._pending.popleft()
            then(future.result())

    def wait(self) -> None:
        """Return once all work is done, and told of."""
        while self._pending:
            self._wait_for_first()

    def _wait_for_first(self) -> None:
        self._pending[0][0].exception()  # returns once the work is done
        self.poll()

    def close(self) -> None:
        """Do what is left, and end the thread."""
        self.wait()
        if self._pool is not None:
            self._pool.shutdown()
