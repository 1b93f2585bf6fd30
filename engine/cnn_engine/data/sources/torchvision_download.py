"""CIFAR-10's download by torchvision, its progress told to us, not to the terminal."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torchvision.datasets import CIFAR10
from torchvision.datasets import utils as torchvision_utils

from cnn_engine.data.raw import Progress

STALL_SECONDS = 15
"""How long a download may stand still."""


def fetch(directory: Path, progress: Progress) -> None:
    """Download CIFAR-10 and unpack it; an archive that is there and whole is only unpacked.

    Raises:
        OSError, RuntimeError, EOFError, HTTPException: that was not possible.
    """
    with _told_to(progress), _stall_timeout():
        CIFAR10(str(directory), train=True, download=True)


@contextmanager
def _stall_timeout() -> Iterator[None]:
    """Give torchvision's connections, which have no timeout, one."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _told_to(progress: Progress) -> Iterator[None]:
    """Replace the bar that torchvision draws on the terminal, where the dashboard is."""

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
