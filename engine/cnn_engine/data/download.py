"""Downloading CIFAR-10 through torchvision, its progress told to us, not to the terminal."""

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

from torchvision.datasets import CIFAR10
from torchvision.datasets import utils as torchvision_utils

from cnn_engine.data.raw import Progress
from cnn_engine.errors import DataError

CONNECT_SECONDS = 3
"""How long a server may take to answer at all."""

STALL_SECONDS = 15
"""How long a download may stand still."""


def download_cifar10(directory: Path, progress: Progress) -> None:
    """Download and unpack CIFAR-10's python files into `directory/cifar-10-batches-py`.

    Raises:
        DataError: that was not to be had; says why, and where to put the files by hand.
    """
    archive = directory / CIFAR10.filename
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not _is_whole(archive):
            _ask_server(CIFAR10.url)
        with _told_to(progress), _stall_timeout():
            CIFAR10(str(directory), train=True, download=True)
    except (OSError, RuntimeError, EOFError, HTTPException) as error:
        # A part of it would only be in the way; if it cannot be removed, the reason is the same.
        with suppress(OSError):
            if not _is_whole(archive):
                archive.unlink()
        reason = getattr(error, "reason", None) or error
        text = " ".join(str(getattr(reason, "strerror", None) or reason).split())
        raise DataError(
            f"CIFAR-10 cannot be downloaded from {CIFAR10.url} ({text}); put "
            f"{CIFAR10.base_folder}/ into {directory}, or name its directory with --data-dir"
        ) from None


def _is_whole(archive: Path) -> bool:
    return bool(torchvision_utils.check_integrity(str(archive), CIFAR10.tgz_md5))


def _ask_server(url: str) -> None:
    """Fail soon where there is no network, rather than after torchvision's long timeouts."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - torchvision's constant
    with urllib.request.urlopen(request, timeout=CONNECT_SECONDS):  # noqa: S310
        pass


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
