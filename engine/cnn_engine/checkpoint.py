"""Checkpoints: a model's state in a file that is always whole."""

import io
from pathlib import Path
from typing import Any

import torch

from cnn_engine.errors import StorageError
from cnn_engine.files import write_atomically

BEST_FILE = "best.pt"
"""The weights of least validation loss, which the test and everything later use."""

LAST_FILE = "last.pt"
"""The latest weights with all that training on needs."""

FORMAT = 1
"""Version of a checkpoint's content."""


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values, replacing the file in one step.

    Raises:
        OSError: nothing was replaced; the old checkpoint stands.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **content}, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint. Only tensors and plain values are accepted, so no file can run code.

    Raises:
        StorageError: it is missing, damaged, or not a checkpoint.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise StorageError(f"{path}: there is no such checkpoint") from None
    except Exception:  # noqa: BLE001 - on damaged files torch raises what it likes
        raise StorageError(f"{path}: is damaged, or not a checkpoint of cnn-tui") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StorageError(f"{path}: is not a checkpoint that this version of cnn-tui reads")
    return content
