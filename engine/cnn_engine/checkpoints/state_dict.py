"""Finds the state dict in the files that training programs write with `torch.save`."""

import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from cnn_engine.checkpoints import checkpoint
from cnn_engine.errors import DataError

KEYS = (
    "state_dict_ema",
    "model_ema",
    "ema",
    "model_state_dict",
    "state_dict",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
)
"""Keys of state dicts in checkpoints, averaged weights first, as programs evaluate those."""

MAX_DEPTH = 100
"""Maximum depth of nested dicts and modules."""


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file that `torch.save` wrote. Code in the file is not run.

    Modules that were saved as a whole are read too: of their classes, which the file only names,
    empty ones take the place.

    Raises:
        DataError: it is damaged, or does not contain weights.
    """
    _refuse_other_formats(path)
    weights = dict(_weights(_load(path)))
    if not weights:
        raise DataError(f"{path}: is not a state dict (weights by name)")
    return weights


def _refuse_other_formats(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(100).lstrip()
        if not start:
            raise DataError(f"{path}: is empty")
        if start.startswith(b"version https://git-lfs"):
            raise DataError(f"{path}: is a pointer of Git LFS, without weights: run git lfs pull")
        if start.startswith(b"<"):
            raise DataError(f"{path}: is a web page, not weights; download the file again")
        if not zipfile.is_zipfile(file):  # not so before PyTorch 1.6
            return
        if _is_torchscript(file):
            raise DataError(
                f"{path}: is a TorchScript program; save its weights with "
                "torch.save(torch.jit.load(…).state_dict(), …)"
            )
        checkpoint.require_stored(file, path)


def _is_torchscript(file: BinaryIO) -> bool:
    """Return True for an archive with the constants of a program."""
    with suppress(Exception), zipfile.ZipFile(file) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
    return False  # zipfile may raise anything for other files


class _Placeholder:
    """Object of a class that is not imported."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def _load(path: Path) -> object:
    """Return the content of a file, with placeholders for all but tensors and plain data.

    Raises:
        DataError: it is damaged, or names functions that a placeholder cannot stand for.
    """
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # noqa: BLE001 - a file before PyTorch 1.6, or a damaged one
        foreign = []
    placeholders: list[Any] = [(_Placeholder, name) for name in foreign]
    try:
        with torch.serialization.safe_globals(placeholders):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - torch may raise anything for other files
        raise DataError(
            f"{path}: is damaged, or contains more than weights; no code in it was run"
        ) from None


def _weights(content: object, depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Yield the weights in a checkpoint by name; nothing if there are none."""
    if isinstance(content, _Placeholder):
        yield from _module_weights(content, "", depth)
    if not isinstance(content, dict) or depth > MAX_DEPTH:
        return
    for key in KEYS:
        nested = dict(_weights(content.get(key), depth + 1))
        if nested:
            yield from nested.items()
            return
    for name, values in content.items():
        if isinstance(name, str) and _is_plain(values):
            yield name, values


def _module_weights(module: _Placeholder, prefix: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    """Yield parameters and buffers of a module that was saved as a whole."""
    if depth > MAX_DEPTH:
        return
    parameters, buffers, modules = (
        value if isinstance(value := vars(module).get(key), dict) else {}
        for key in ("_parameters", "_buffers", "_modules")
    )
    for name, values in (parameters | buffers).items():
        if _is_plain(values):
            yield f"{prefix}{name}", values
    for name, child in modules.items():
        if isinstance(child, _Placeholder):
            yield from _module_weights(child, f"{prefix}{name}.", depth + 1)


def _is_plain(values: object) -> bool:
    """Return True for a dense tensor of numbers, which other tensors can be copied from."""
    return (
        isinstance(values, Tensor)
        and values.layout is torch.strided
        and not values.is_quantized
        and values.device.type == "cpu"
    )
