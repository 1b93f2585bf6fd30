"""What a model is made of, as a run's directory has it in `model.json`: one JSON object.

The process that trains writes it when the model is built, replacing it in one step; whoever looks
reads it here, without PyTorch or NumPy, and takes nothing in it on trust.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cnn_engine.storage.json_files import MAX_NUMBER, Fields, not_ours, read_object

LAYERS_FILE = "model.json"

FORMAT = 1
"""Version of the file."""

MOST_BYTES = 2**24
"""A larger file than any that is written is not read."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One module of the model that computes something itself."""

    name: str
    """Where it is in the model, such as `blocks.0.1`; empty for the model itself."""

    kind: str
    """Its class, such as `Conv2d`."""

    detail: str
    """Its kernel and stride, such as `3×3`; may be empty."""

    output: tuple[int, ...]
    """Shape of what it makes of one image; empty where it is not used."""

    parameters: int
    """Trainable and fixed ones of its own."""

    flops: int
    """Floating-point operations for one image, forward; see `flops.py` for what counts."""


@dataclass(frozen=True, kw_only=True)
class Layers:
    """A model, layer by layer, in the order in which an image goes through it."""

    input: tuple[int, ...]
    """Shape of one image: channels, height, width."""

    layers: tuple[Layer, ...]


def layers_as_bytes(layers: Layers) -> bytes:
    """The content of `model.json`."""
    return json.dumps({"format": FORMAT, **asdict(layers)}, indent=1).encode()


def read_layers(path: Path) -> Layers:
    """Read `model.json`.

    Raises:
        DataError: it is not there, cannot be read, or is damaged.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    values = read_object(path, FORMAT, MOST_BYTES)
    try:
        fields = Fields(values)
        return Layers(
            input=fields.sizes("input", MOST_BYTES),
            layers=tuple(map(_layer, fields.items("layers"))),
        )
    except ValueError as error:
        raise not_ours(path, error) from None


def _layer(values: object) -> Layer:
    fields = Fields(values)
    return Layer(
        name=fields.text("name"),
        kind=fields.text("kind"),
        detail=fields.text("detail"),
        output=fields.sizes("output", MOST_BYTES),
        parameters=fields.integer("parameters", 0, MAX_NUMBER),
        flops=fields.integer("flops", 0, MAX_NUMBER),
    )
