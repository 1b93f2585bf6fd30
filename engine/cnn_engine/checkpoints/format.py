"""Checkpoint files from outside, without PyTorch: whether they are whole, and what they hold.

A checkpoint is an archive as `torch.save` writes it, and behind that a seal of fixed size, which
`torch.load` does not look at: where training was, and the SHA-256 of all before.
"""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cnn_engine.errors import ConfigError, DataError, StorageError

BEST_FILE = "best.pt"
"""The weights of least validation loss, which the test and everything later use."""

LAST_FILE = "last.pt"
"""The latest weights with all that training on needs."""

PREVIOUS_FILE = "previous.pt"
"""The one before `last.pt`."""

DAMAGED_FILE = "damaged.pt"
"""A `last.pt` that was found damaged, set aside so that nothing good is replaced by it."""

FORMAT = 2
"""Version of a checkpoint's content."""

MAGIC = b"cnn-tui\n"

_PLACE = struct.Struct("<8sIQQ")
SEAL_BYTES = _PLACE.size + hashlib.sha256().digest_size


class Position(NamedTuple):
    """How far training was."""

    epoch: int
    """Epoch that goes on or comes next, counted from 1."""

    step: int
    """Steps of that epoch which are done."""


START = Position(1, 0)


def checksum_footer(archive: bytes | memoryview, place: Position) -> bytes:
    """What to write behind the archive."""
    head = _PLACE.pack(MAGIC, FORMAT, *place)
    return head + _digest(archive, head)


def _digest(archive: bytes | memoryview, head: bytes) -> bytes:
    digest = hashlib.sha256(archive)
    digest.update(head)
    return digest.digest()


def read_verified(path: Path) -> tuple[memoryview, Position]:
    """A checkpoint's archive and its place, if the file is whole.

    Raises:
        DataError: it is missing, damaged, or no checkpoint.
        ConfigError: a newer version of cnn-tui wrote it.
        StorageError: it cannot be read.
    """
    try:
        content = memoryview(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such checkpoint") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
    archive, end = content[:-SEAL_BYTES], bytes(content[-SEAL_BYTES:])
    head, digest = end[: _PLACE.size], end[_PLACE.size :]
    if len(end) < SEAL_BYTES or digest != _digest(archive, head):
        raise DataError(f"{path}: is damaged, or not a checkpoint of cnn-tui")
    _, version, *place = _PLACE.unpack(head)
    if version > FORMAT:
        raise ConfigError(f"{path}: was written by a newer version of cnn-tui; use that, or newer")
    return archive, Position(*place)


@dataclass(frozen=True, kw_only=True)
class FoundCheckpoint:
    """The newest good checkpoint to go on from."""

    path: Path
    place: Position
    damaged: tuple[str, ...]
    """What is wrong with each newer one."""


def find_newest(directory: Path) -> FoundCheckpoint | None:
    """The newest good checkpoint in a run's directory; None where there is none of any kind.

    Raises:
        DataError: there are some, and all are damaged.
        ConfigError: a newer version of cnn-tui wrote it.
        StorageError: it cannot be read.
    """
    damaged: list[str] = []
    for path in (directory / LAST_FILE, directory / PREVIOUS_FILE):
        if not path.exists():
            continue
        try:
            return FoundCheckpoint(path=path, place=read_verified(path)[1], damaged=tuple(damaged))
        except DataError as error:
            damaged.append(str(error))
    if not damaged:
        return None
    raise DataError(
        f"{'; '.join(damaged)}; there is no good one to go on from: train it again from its "
        "beginning with cnn-tui run"
    )
