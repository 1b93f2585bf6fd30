"""Writes files in order: at once, or in a thread behind training."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from cnn_engine.errors import StorageError

MAX_PENDING = 4
"""Jobs that may be queued; with more, training waits for the disk, so that memory is bounded."""


class _Pending(NamedTuple):
    future: Future[None]
    written: Callable[[], None]
    failed: Callable[[StorageError], None]


class Writer:
    """Runs jobs that each write a file, one after the other."""

    def __init__(self, *, behind: bool) -> None:
        """Run jobs at once or, if `behind`, in a thread."""
        self._pool = ThreadPoolExecutor(1, "writer") if behind else None
        self._pending: deque[_Pending] = deque()

    def write(
        self,
        job: Callable[[], None],
        written: Callable[[], None],
        failed: Callable[[StorageError], None],
    ) -> None:
        """Run a job after all earlier ones.

        Args:
            job: Writes a file or raises `StorageError`. In a thread it must not read anything that
                training changes.
            written: Called after success, in the caller's thread: in `write` itself, or in a later
                `poll` or `wait`.
            failed: Called after failure, likewise.
        """
        if self._pool is None:
            try:
                job()
            except StorageError as error:
                failed(error)
            else:
                written()
            return
        while len(self._pending) >= MAX_PENDING:
            self._wait_for_first()
        self._pending.append(_Pending(self._pool.submit(job), written, failed))

    def poll(self) -> None:
        """Report the jobs that are done."""
        while self._pending and self._pending[0].future.done():
            job = self._pending.popleft()
            try:
                job.future.result()
            except StorageError as error:
                job.failed(error)
            else:
                job.written()

    def wait(self) -> None:
        """Wait until all jobs are done and reported."""
        while self._pending:
            self._wait_for_first()

    def _wait_for_first(self) -> None:
        self._pending[0].future.exception()  # returns once the job is done
        self.poll()

    def close(self) -> None:
        """Finish all jobs and end the thread."""
        self.wait()
        if self._pool is not None:
            self._pool.shutdown()
