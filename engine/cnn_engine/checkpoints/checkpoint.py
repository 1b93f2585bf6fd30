"""Reads and writes checkpoint files."""

import io
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from cnn_engine.checkpoints.format import (
    LAST_FILE,
    PREVIOUS_FILE,
    Position,
    checksum_footer,
    read_verified,
)
from cnn_engine.errors import DataError
from cnn_engine.storage.atomic import write_atomically


def save(path: Path, content: dict[str, Any], position: Position) -> None:
    """Write a checkpoint, replacing the file atomically; an old `last.pt` becomes `previous.pt`.

    Args:
        path: `last.pt` or `best.pt` in a run's directory.
        content: Tensors and plain values, as `torch.load(weights_only=True)` reads them.
        position: Epoch and step that training continues with.

    Raises:
        OSError: it cannot be written; an older checkpoint is kept.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with buffer.getbuffer() as archive:
        footer = checksum_footer(archive, position)
    buffer.write(footer)
    previous = path.with_name(PREVIOUS_FILE) if path.name == LAST_FILE else None
    write_atomically(path, buffer.getbuffer(), backup=previous)


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint. Only tensors and plain values are accepted, so no file can run code.

    Raises:
        DataError: it is missing, damaged, or not a checkpoint.
        ConfigError: a newer version of cnn-tui wrote it.
        StorageError: it cannot be read.
    """
    archive = io.BytesIO(read_verified(path)[0])
    require_stored(archive, path)
    try:
        content = torch.load(archive, map_location=device, weights_only=True)
    except Exception:  # noqa: BLE001 - torch may raise anything for other files
        raise DataError(f"{path}: is not a checkpoint of cnn-tui") from None
    if not _is_checkpoint(content):
        raise DataError(f"{path}: is not a checkpoint of cnn-tui")
    checkpoint: dict[str, Any] = content
    return checkpoint


def require_stored(file: BinaryIO, path: Path) -> None:
    """Refuse a zip archive that is larger in memory than on disk.

    PyTorch writes entries without compression, but would also unpack 10 GB from a file of 10 MB.

    Args:
        file: The archive, which is left at its start.
        path: Its path, for the message.

    Raises:
        DataError: it is not a zip archive, or its entries are compressed or overlap.
    """
    size = file.seek(0, io.SEEK_END)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except Exception:  # noqa: BLE001 - zipfile may raise anything for other files
        raise DataError(f"{path}: is not a checkpoint of cnn-tui") from None
    is_compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if is_compressed or sum(entry.file_size for entry in entries) > size:
        raise DataError(f"{path}: was not written by PyTorch: it is larger in memory than on disk")
    file.seek(0)


def _is_checkpoint(content: object) -> bool:
    """Return True if `content` has weights by name, as every checkpoint does."""
    weights = content.get("model") if isinstance(content, dict) else None
    return isinstance(weights, dict) and all(
        isinstance(value, Tensor) for value in weights.values()
    )


def copy_to_host(content: Any) -> Any:  # noqa: ANN401 - nested to any depth
    """Return a copy with all tensors in nested dicts, lists and tuples on the host.

    Tensors that share memory share it in the copy too: each storage is copied once.
    """
    copies: dict[int, torch.UntypedStorage] = {}

    def copied(value: Any) -> Any:  # noqa: ANN401
        match value:
            case Tensor():
                storage = value.untyped_storage()
                if storage.data_ptr() not in copies:
                    copies[storage.data_ptr()] = storage.clone().cpu()  # type: ignore[no-untyped-call]
                copy = torch.empty(0, dtype=value.dtype)
                return copy.set_(
                    copies[storage.data_ptr()],
                    value.storage_offset(),
                    value.shape,
                    value.stride(),
                )
            case dict():
                return {key: copied(item) for key, item in value.items()}
            case list() | tuple():
                return type(value)(copied(item) for item in value)
        return value

    return copied(content)
