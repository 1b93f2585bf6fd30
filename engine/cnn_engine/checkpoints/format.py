"""Format of checkpoint files: names, footer and checksum. Does not import PyTorch.

A checkpoint is an archive as `torch.save` writes it, followed by a footer of fixed size, which
`torch.load` ignores: the position of training, and the SHA-256 of everything before.
"""

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cnn_engine.errors import ConfigError, DataError, StorageError
from cnn_engine.storage.regular_files import open_regular
from cnn_engine.system.program import shell_command

BEST_FILE = "best.pt"
"""Weights of the best validation, used by the test, predict and export."""

LAST_FILE = "last.pt"
"""The latest training state."""

PREVIOUS_FILE = "previous.pt"
"""The `last.pt` before the last one."""

DAMAGED_FILE = "damaged.pt"
"""A damaged `last.pt`, renamed so that the next save does not make it the backup."""

WEIGHTS_FILES = (BEST_FILE, "model.safetensors", "pytorch_model.bin")
"""Files of weights in a directory: of a run, or of a model of Hugging Face."""

FORMAT = 2
"""Version of a checkpoint's content."""

MAGIC = b"cnn-tui\n"
"""First bytes of the footer."""

_HEAD = struct.Struct("<8sIQQ")
"""Magic, format, epoch and step."""

FOOTER_BYTES = _HEAD.size + hashlib.sha256().digest_size


class Position(NamedTuple):
    """A position in training."""

    epoch: int
    """Epoch to continue with, counted from 1."""

    step: int
    """Finished steps of that epoch."""


START = Position(1, 0)
"""Position of a run without a checkpoint."""


def checksum_footer(archive: bytes | memoryview, position: Position) -> bytes:
    """Return the footer of an archive."""
    head = _HEAD.pack(MAGIC, FORMAT, *position)
    return head + _digest(archive, head)


def _digest(archive: bytes | memoryview, head: bytes) -> bytes:
    digest = hashlib.sha256(archive)
    digest.update(head)
    return digest.digest()


def has_footer(path: Path) -> bool:
    """Return True if a file ends as a checkpoint does, damaged or not.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        with open_regular(path) as file:
            return _has_magic(file)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None


def _has_magic(file: BinaryIO) -> bool:
    """Return True if the file ends as a checkpoint does; the file is left at its start."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - FOOTER_BYTES))
    magic = file.read(len(MAGIC))
    file.seek(0)
    return magic == MAGIC


def read_verified(path: Path) -> tuple[memoryview, Position]:
    """Read a checkpoint and verify its checksum; return its archive and its position.

    Raises:
        DataError: it is missing, damaged, or not a checkpoint.
        ConfigError: a newer version of cnn-tui wrote it.
        StorageError: it cannot be read.
    """
    try:
        with open_regular(path) as file:  # other large files are not read as a whole
            content = memoryview(file.read() if _has_magic(file) else b"")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such checkpoint") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from None
    archive, footer = content[:-FOOTER_BYTES], bytes(content[-FOOTER_BYTES:])
    head, digest = footer[: _HEAD.size], footer[_HEAD.size :]
    if len(footer) < FOOTER_BYTES or digest != _digest(archive, head):
        raise DataError(f"{path}: is damaged, or not a checkpoint of cnn-tui")
    _, version, *position = _HEAD.unpack(head)
    if version > FORMAT:
        raise ConfigError(f"{path}: a newer version of cnn-tui wrote it; use that version")
    return archive, Position(*position)


@dataclass(frozen=True, kw_only=True)
class FoundCheckpoint:
    """The newest undamaged checkpoint of a run."""

    path: Path
    position: Position
    damaged: tuple[str, ...]
    """Problem of each newer checkpoint that is damaged."""


def find_newest(directory: Path) -> FoundCheckpoint | None:
    """Return the newest undamaged checkpoint in a run's directory; None if there are none.

    Raises:
        DataError: there are checkpoints, but all are damaged.
        ConfigError: a newer version of cnn-tui wrote it.
        StorageError: it cannot be read.
    """
    damaged: list[str] = []
    for path in (directory / LAST_FILE, directory / PREVIOUS_FILE):
        if not path.exists():
            continue
        try:
            _, position = read_verified(path)
        except DataError as error:
            damaged.append(str(error))
        else:
            return FoundCheckpoint(path=path, position=position, damaged=tuple(damaged))
    if not damaged:
        return None
    raise DataError(
        f"{'; '.join(damaged)}; there is no undamaged one to resume from: train again from the "
        f"start with: {shell_command('run')}"
    )
