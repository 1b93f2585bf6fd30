"""Download of CIFAR-10 by torchvision, with its progress passed to a callback."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torchvision.datasets import CIFAR10
from torchvision.datasets import utils as torchvision_utils

from cnn_engine.progress import Progress

STALL_SECONDS = 15
"""Timeout for a download without progress."""


def fetch(directory: Path, progress: Progress) -> None:
    """Download CIFAR-10 and unpack it; a complete archive is only unpacked.

    Raises:
        OSError, RuntimeError, EOFError, HTTPException: the download failed.
    """
    with _progress_to(progress), _stall_timeout():
        CIFAR10(str(directory), train=True, download=True)


@contextmanager
def _stall_timeout() -> Iterator[None]:
    """Set a socket timeout: torchvision's connections have none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _progress_to(progress: Progress) -> Iterator[None]:
    """Pass torchvision's progress to a callback; its own bar would draw over the dashboard."""

    class Bar:
        def __init__(self, total: int | None = None, **_: Any) -> None:  # noqa: ANN401
            self._total, self._done = total or 0, 0

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, count: int) -> None:
            self._done += count
            progress("downloading CIFAR-10, bytes", self._done, self._total)

    before = torchvision_utils.tqdm
    torchvision_utils.tqdm = Bar
    try:
        yield
    finally:
        torchvision_utils.tqdm = before
