"""Reads a file of weights to start from: a checkpoint of a run, or a state dict of PyTorch."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import has_footer
from cnn_engine.config.paths import is_file
from cnn_engine.errors import ConfigError, DataError

STATE_DICT_KEYS = ("state_dict", "model")
"""Keys under which training programs save the state dict."""


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """Weights by name, and what is known about their training."""

    path: Path
    weights: dict[str, Tensor]

    classes: tuple[str, ...] | None = None
    """Classes of the run; None if it is not a run's file."""

    normalization: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    """`data.mean` and `data.std` of the run; None if it is not a run's file."""


def read_weights(path: Path) -> WeightsFile:
    """Read a file of weights. Code in it is not run.

    Raises:
        ConfigError: there is no such file.
        DataError: it is damaged, or does not contain weights.
        StorageError: it cannot be read.
    """
    if not is_file(path):
        raise ConfigError(
            f"model.weights: {path} is not a file; name a run, or a file such as those of "
            "https://pytorch.org/vision/stable/models.html"
        )
    if not has_footer(path):
        return WeightsFile(path=path, weights=_state_dict(path))
    content = checkpoint.load(path, torch.device("cpu"))
    data = content.get("config", {}).get("data", {})
    return WeightsFile(
        path=path,
        weights=content["model"],
        classes=tuple(content.get("classes", ())),
        normalization=(tuple(data.get("mean", ())), tuple(data.get("std", ()))),
    )


def _state_dict(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file that `torch.save` wrote."""
    if zipfile.is_zipfile(path):  # not so before PyTorch 1.6
        with path.open("rb") as file:
            checkpoint.require_stored(file, path)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - torch may raise anything for other files
        raise DataError(
            f"{path}: is damaged, or contains more than weights; no code in it was run"
        ) from None
    for key in STATE_DICT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise DataError(f"{path}: is not a state dict (weights by name)")
    return content
