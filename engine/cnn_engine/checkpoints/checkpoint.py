"""Checkpoints: a model's state in a file that is always whole."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnn_engine.checkpoints.format import LAST_FILE, PREVIOUS_FILE, Place, seal, unseal
from cnn_engine.errors import DataError
from cnn_engine.storage.atomic import write_atomically


def save(path: Path, content: dict[str, Any], place: Place) -> None:
    """Write tensors and plain values, replacing the file in one step.

    The `last.pt` that was there before stays as `previous.pt`.

    Raises:
        OSError: an older checkpoint stands, if there was one.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with buffer.getbuffer() as archive:
        end = seal(archive, place)
    buffer.write(end)
    previous = path.with_name(PREVIOUS_FILE) if path.name == LAST_FILE else None
    write_atomically(path, buffer.getbuffer(), backup=previous)


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint. Only tensors and plain values are accepted, so no file can run code.

    Raises:
        DataError: it is missing, damaged, or not a checkpoint.
        ConfigError: a newer version of cnn-tui wrote it.
        StorageError: it cannot be read.
    """
    archive, _ = unseal(path)
    try:
        content = torch.load(io.BytesIO(archive), map_location=device, weights_only=True)
    except Exception:  # noqa: BLE001 - on what is no archive of its own, torch raises what it likes
        raise DataError(f"{path}: holds something else than a checkpoint of cnn-tui") from None
    if not _is_checkpoint(content):
        raise DataError(f"{path}: holds something else than a checkpoint of cnn-tui")
    checkpoint: dict[str, Any] = content
    return checkpoint


def _is_checkpoint(content: object) -> bool:
    """Whether it has what every checkpoint has: weights by name."""
    weights = content.get("model") if isinstance(content, dict) else None
    return isinstance(weights, dict) and all(isinstance(each, Tensor) for each in weights.values())
