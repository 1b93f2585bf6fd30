"""Reads a file of weights to start from: a checkpoint of a run, a state dict, or safetensors."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import BEST_FILE, WEIGHTS_FILES, has_footer
from cnn_engine.checkpoints.state_dict import load_state_dict
from cnn_engine.config.paths import is_directory, is_file
from cnn_engine.errors import ConfigError, DataError, StorageError
from cnn_engine.system.optional import import_optional

SAFETENSORS = ".safetensors"

ABOUT_FILE = "model.json"
"""Description that `cnn-tui export` writes beside the weights."""


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
        ConfigError: there is no such file, or it needs a library that is not installed.
        DataError: it is damaged, or does not contain weights.
        StorageError: it cannot be read.
    """
    _require_file(path)
    if has_footer(path):
        return _from_run(path)
    if path.suffix == SAFETENSORS:
        return _from_safetensors(path)
    return WeightsFile(path=path, weights=load_state_dict(path))


def _require_file(path: Path) -> None:
    if is_directory(path.parent) and path.name == BEST_FILE and not is_file(path):
        raise ConfigError(
            f"model.weights: {path.parent} contains no {' or '.join(WEIGHTS_FILES)}; a run has a "
            "best.pt after its first epoch"
        )
    if not is_file(path):
        raise ConfigError(
            f"model.weights: {path} is not a file; name a run, or a file such as those of "
            "https://pytorch.org/vision/stable/models.html"
        )


def _from_run(path: Path) -> WeightsFile:
    content = checkpoint.load(path, torch.device("cpu"))
    data = content.get("config", {}).get("data", {})
    return WeightsFile(
        path=path,
        weights=content["model"],
        classes=tuple(content.get("classes", ())),
        normalization=(tuple(data.get("mean", ())), tuple(data.get("std", ()))),
    )


def _from_safetensors(path: Path) -> WeightsFile:
    """Read safetensors, with the classes of the run if `cnn-tui export` wrote them."""
    library: Any = import_optional("safetensors.torch", f"model.weights: {path.name}")
    try:
        weights = library.load_file(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception:  # noqa: BLE001 - its own error class, which may be private
        raise DataError(f"{path}: is damaged, or not a file of safetensors") from None
    about = _read_about(path.with_name(ABOUT_FILE))
    if about is None:
        return WeightsFile(path=path, weights=weights)
    normalization = about.normalisation.mean, about.normalisation.std
    return WeightsFile(
        path=path, weights=weights, classes=about.classes, normalization=normalization
    )


class _Normalization(msgspec.Struct):
    mean: tuple[float, ...]
    std: tuple[float, ...]


class _About(msgspec.Struct):
    """Part of an export's description."""

    classes: tuple[str, ...]
    normalisation: _Normalization


def _read_about(path: Path) -> _About | None:
    """Return an export's description; None if there is none."""
    try:
        # Not by msgspec: class names that are not UTF-8 are written with lone surrogates.
        return msgspec.convert(json.loads(path.read_bytes()), _About)
    except (OSError, ValueError, RecursionError):
        return None
