"""Writes files in order, at once or in a background thread."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from cnn_engine.errors import StorageError

MAX_PENDING = 6
"""Maximum number of queued jobs, more than an epoch has; with more, training waits for the disk,
which bounds memory."""


class _Pending(NamedTuple):
    future: Future[None]
    written: Callable[[], None]
    failed: Callable[[StorageError], None]


class Writer:
    """Runs jobs that each write a file, one after the other."""

    def __init__(self, *, in_background: bool, is_dry: bool = False) -> None:
        """Run jobs in a thread if `in_background`, else at once.

        Args:
            in_background: Run jobs in a thread.
            is_dry: Report jobs as written without running them, as another process does.
        """
        self.in_background, self._is_dry = in_background, is_dry
        self._pool = ThreadPoolExecutor(1, "writer") if in_background else None
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
        if self._is_dry:
            written()
            return
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
        """Report finished jobs by their callbacks."""
        while self._pending and self._pending[0].future.done():
            job = self._pending.popleft()
            try:
                job.future.result()
            except StorageError as error:
                job.failed(error)
            else:
                job.written()

    def wait(self) -> None:
        """Wait until all jobs are finished and reported."""
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
