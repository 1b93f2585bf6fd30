"""Download of CIFAR-10; errors explain how to provide it manually."""

import hashlib
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

from cnn_engine.errors import DataError
from cnn_engine.progress import Progress

ARCHIVE = "cifar-10-python.tar.gz"
"""Name of the archive that is downloaded."""

UNPACKED = "cifar-10-batches-py"
"""Directory inside the archive."""

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
"""URL of the archive, from torchvision."""

ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
"""MD5 of the archive, from torchvision."""

CONNECT_SECONDS = 3
"""Timeout for the first response of the server."""


def download_cifar10(directory: Path, progress: Progress) -> None:
    """Download and unpack CIFAR-10's python files into `directory/cifar-10-batches-py`.

    Raises:
        DataError: the download failed; the message gives the reason and where to put the files.
    """
    archive = directory / ARCHIVE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not _is_complete(archive):
            check_server()
        # Imported here: it is slow, and not needed without a network.
        from cnn_engine.data.sources.torchvision_download import fetch  # noqa: PLC0415

        fetch(directory, progress)
    except (OSError, RuntimeError, EOFError, HTTPException) as error:
        # Remove a partial archive; an error here has the same cause.
        with suppress(OSError):
            if not _is_complete(archive):
                archive.unlink()
        raise DataError(
            f"CIFAR-10 cannot be downloaded from {URL} ({failure_reason(error)}); put "
            f"{UNPACKED}/ into {directory}, or pass its directory with --data-dir"
        ) from None


def _is_complete(archive: Path) -> bool:
    if not archive.is_file():
        return False
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == ARCHIVE_MD5


def failure_reason(error: Exception) -> str:
    """Return the reason of a failed download in one line."""
    reason = getattr(error, "reason", None) or error
    return " ".join(str(getattr(reason, "strerror", None) or reason).split())


def check_server() -> None:
    """Fail early without a network: torchvision's timeouts are long.

    Raises:
        OSError: the server cannot be reached.
        HTTPException: its answer is not one of HTTP.
    """
    request = urllib.request.Request(URL, method="HEAD")
    with urllib.request.urlopen(request, timeout=CONNECT_SECONDS):  # noqa: S310
        pass
