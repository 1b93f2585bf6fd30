"""The layers of a model: `model.json` in a run's directory, one JSON object.

The training process writes it atomically when the model is built. It is read and validated here
without PyTorch or NumPy.
"""

import json
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from cnn_engine.storage.json_files import Count, read_json

LAYERS_FILE = "model.json"

FORMAT = 1
"""Version of the file."""

MAX_BYTES = 2**24
"""Larger files are refused."""

Size = Annotated[int, Meta(ge=1, lt=MAX_BYTES)]


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf module of the model, or another one with parameters or FLOPs of its own."""

    name: str
    """Qualified name, such as `blocks.0.1`; empty for the model itself."""

    kind: str
    """Class name, such as `Conv2d`."""

    detail: str
    """Kernel and stride, such as `3×3`; may be empty."""

    output: tuple[Size, ...]
    """Shape of the output for one image; empty if the layer is not used."""

    parameters: Count
    """Number of its own parameters, trainable and fixed."""

    flops: Count
    """Floating-point operations of a forward pass for one image; see `inspection/flops.py`."""


class Layers(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its layers, in forward order."""

    input: tuple[Size, ...]
    """Shape of one image: channels, height, width."""

    layers: tuple[Layer, ...]


def encode_layers(layers: Layers) -> bytes:
    """Return the content of `model.json`."""
    return json.dumps({"format": FORMAT, **msgspec.to_builtins(layers)}, indent=1).encode()


def read_layers(path: Path) -> Layers:
    """Read `model.json`.

    Raises:
        DataError: it is missing, cannot be read, or is damaged.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    return read_json(path, Layers, format_=FORMAT, max_bytes=MAX_BYTES)
