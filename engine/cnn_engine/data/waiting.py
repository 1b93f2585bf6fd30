"""Waiting for what threads or processes do, and telling how far it is."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import Any

PROGRESS_SECONDS = 0.1
"""How often progress is told."""


def wait_for_all(futures: Sequence[Future[Any]], tell: Callable[[int], None]) -> None:
    """Wait until all are done, or one of them has failed, whose exception is raised at once.

    Args:
        futures: What is waited for.
        tell: Told now and then how many are done; what it raises ends the waiting.
    """
    while (waited := wait(futures, PROGRESS_SECONDS, FIRST_EXCEPTION)).not_done:
        _raise_first(waited.done)
        tell(len(waited.done))
    _raise_first(waited.done)


def _raise_first(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        future.result()
