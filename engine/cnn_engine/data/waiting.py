"""Waiting for threads or processes with progress reports."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import Any

PROGRESS_SECONDS = 0.1
"""Interval of progress reports."""


def wait_for_all(futures: Sequence[Future[Any]], report: Callable[[int], None]) -> None:
    """Wait until all futures are done; raise the first exception as soon as it occurs.

    Args:
        futures: Futures to wait for.
        report: Called at once and every `PROGRESS_SECONDS` with the number done; may raise to
            abort.
    """
    report(sum(future.done() for future in futures))
    while (waited := wait(futures, PROGRESS_SECONDS, FIRST_EXCEPTION)).not_done:
        _raise_first(waited.done)
        report(len(waited.done))
    _raise_first(waited.done)


def _raise_first(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        future.result()
