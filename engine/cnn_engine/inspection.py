"""What is kept of a model for people to look at: two files in the run's directory.

The process that trains writes them (`inspect.py`); whoever looks reads them here, without PyTorch
or NumPy, and takes nothing in them on trust.

`model.json`, written when the model is built, is one JSON object: the layers.

`maps.bin`, written anew after each epoch and after the test, is one line of JSON, its header, and
then raw bytes in this order, whose number follows from the header::

    filters     float32, little-endian [filters, channels, height, width]: of the first convolution
    bias        float32, little-endian [filters]
    of each sample image
        image   uint8 [height, width, channels]
        of each stage
            maps    uint8 [maps, height, width]; 0 is the sample's least value in the stage, 255
                    its greatest, both in the header

Both are replaced in one step: a reader finds one whole state or another.
"""

import json
import struct
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from cnn_engine.errors import DataError
from cnn_engine.json_files import Fields, read_object, read_object_and_bytes

LAYERS_FILE, MAPS_FILE = "model.json", "maps.bin"

FORMAT = 1
"""Version of both files."""

MOST_BYTES = 2**24
"""Larger files than any that is written are not read."""

MOST_NUMBER = 2**62

Part: TypeAlias = Literal["validation", "test"]


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


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The filters of the first convolution."""

    layer: str
    """Its name."""

    shape: tuple[int, int, int, int]
    """Filters kept, channels, height, width."""

    of: int
    """Filters that it has."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    """Down and across."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A point on the way through the network where feature maps are kept."""

    name: str
    """Which module's output."""

    kind: str
    """Its class."""

    shape: tuple[int, int, int]
    """Maps kept, and their height and width as kept."""

    of: int
    """Maps that there are."""

    whole: tuple[int, int]
    """Height and width of the maps themselves."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image, and what the model makes of it."""

    name: str
    """Its file, or its number in the set."""

    label: int
    """Index of its true class."""

    answers: tuple[int, ...]
    """The likeliest classes, most likely first."""

    shares: tuple[float, ...]
    """Their probabilities."""

    lows: tuple[float, ...]
    highs: tuple[float, ...]
    """Least and greatest value of its maps, for each stage."""

    @property
    def is_right(self) -> bool:
        """Whether the likeliest class is the true one."""
        return bool(self.answers) and self.answers[0] == self.label


@dataclass(frozen=True, kw_only=True)
class Header:
    """All of `maps.bin` but the bytes."""

    epoch: int
    """Epoch that the weights are from; 0 before the first."""

    part: Part
    """Of which set the samples are."""

    image: tuple[int, int, int]
    """Height, width and channels of the images as kept."""

    whole: tuple[int, int]
    """Height and width of the images themselves."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Of each channel, or of all: the model sees (pixel / 255 - mean) / std."""

    filters: Filters | None
    """None in a network without convolutions."""

    stages: tuple[Stage, ...]
    samples: tuple[Sample, ...]


class Maps:
    """Filters, sample images and their feature maps."""

    def __init__(self, header: Header, content: bytes) -> None:
        """Take the header and the bytes behind it.

        Raises:
            ValueError: there are more or fewer bytes than the header tells of.
        """
        self.header = header
        self._content = content
        filters = header.filters
        self._values = prod(filters.shape) if filters else 0
        self._biases = filters.shape[0] if filters else 0
        self._sizes = [prod(header.image), *(prod(stage.shape) for stage in header.stages)]
        self._first = 4 * (self._values + self._biases)
        size = self._first + sum(self._sizes) * len(header.samples)
        if size != len(content):
            raise ValueError(f"{len(content):,} bytes behind the header, which tells of {size:,}")

    def filter_values(self) -> tuple[float, ...]:
        """Values of the filters kept, [filters, channels, height, width] one after the other."""
        return struct.unpack_from(f"<{self._values}f", self._content)

    def biases(self) -> tuple[float, ...]:
        """What is added to each filter's sum."""
        return struct.unpack_from(f"<{self._biases}f", self._content, 4 * self._values)

    def image(self, sample: int) -> bytes:
        """A sample image: uint8 [height, width, channels]."""
        return self._piece(sample, 0)

    def maps(self, sample: int, stage: int) -> bytes:
        """Its feature maps at a stage: uint8 [maps, height, width]."""
        return self._piece(sample, 1 + stage)

    def _piece(self, sample: int, piece: int) -> bytes:
        first = self._first + sample * sum(self._sizes) + sum(self._sizes[:piece])
        return self._content[first : first + self._sizes[piece]]


def layers_as_bytes(layers: Layers) -> bytes:
    """The content of `model.json`."""
    return json.dumps({"format": FORMAT, **asdict(layers)}, indent=1).encode()


def maps_as_bytes(header: Header, content: bytes) -> bytes:
    """The content of `maps.bin`."""
    values = {"format": FORMAT, **asdict(header)}
    return json.dumps(values, allow_nan=False).encode() + b"\n" + content


def read_layers(path: Path) -> Layers:
    """Read `model.json`.

    Raises:
        DataError: it is not there, cannot be read, or is damaged.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    values = read_object(path, FORMAT, MOST_BYTES)
    try:
        return Layers(
            input=_shape(values, "input"),
            layers=tuple(map(_layer, Fields(values).items("layers"))),
        )
    except ValueError as error:
        raise _damaged(path, error) from None


def read_maps(path: Path) -> Maps:
    """Read `maps.bin`.

    Raises:
        DataError: it is not there, cannot be read, or is damaged.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    values, content = read_object_and_bytes(path, FORMAT, MOST_BYTES)
    try:
        return Maps(_header(values), content)
    except ValueError as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: ValueError) -> DataError:
    return DataError(f"{path}: is damaged, or was not written by cnn-tui: {error}")


def _layer(values: object) -> Layer:
    fields = Fields(values)
    return Layer(
        name=fields.text("name"),
        kind=fields.text("kind"),
        detail=fields.text("detail"),
        output=_shape(values, "output"),
        parameters=fields.integer("parameters", 0, MOST_NUMBER),
        flops=fields.integer("flops", 0, MOST_NUMBER),
    )


def _header(values: dict[str, Any]) -> Header:
    fields = Fields(values)
    stages = tuple(map(_stage, fields.items("stages")))
    part: Part | None = next((part for part in get_args(Part) if part == values.get("part")), None)
    if part is None:
        raise ValueError(f"{values.get('part')!r} is no part of the images")
    filters = values.get("filters")
    height, width, channels = _shape(values, "image", 3)
    return Header(
        epoch=fields.integer("epoch", 0, MOST_NUMBER),
        part=part,
        image=(height, width, channels),
        whole=_pair(values, "whole"),
        mean=fields.numbers("mean"),
        std=fields.numbers("std"),
        filters=None if filters is None else _filters(filters),
        stages=stages,
        samples=tuple(_sample(sample, len(stages)) for sample in fields.items("samples")),
    )


def _filters(values: object) -> Filters:
    fields = Fields(values)
    count, channels, height, width = _shape(values, "shape", 4)
    return Filters(
        layer=fields.text("layer"),
        shape=(count, channels, height, width),
        of=fields.integer("of", 1, MOST_NUMBER),
        stride=_pair(values, "stride"),
        padding=_pair(values, "padding", least=0),
    )


def _stage(values: object) -> Stage:
    fields = Fields(values)
    maps, height, width = _shape(values, "shape", 3)
    return Stage(
        name=fields.text("name"),
        kind=fields.text("kind"),
        shape=(maps, height, width),
        of=fields.integer("of", 1, MOST_NUMBER),
        whole=_pair(values, "whole"),
    )


def _sample(values: object, stages: int) -> Sample:
    fields = Fields(values)
    classes = fields.integers("answers", 0, MOST_NUMBER)
    lows, highs = fields.numbers("lows"), fields.numbers("highs")
    if not len(lows) == len(highs) == stages:
        raise ValueError(f"{len(lows)} and {len(highs)} ends of ranges for {stages} stages")
    shares = fields.shares("shares")
    if len(shares) != len(classes):
        raise ValueError(f"{len(shares)} shares of {len(classes)} answers")
    return Sample(
        name=fields.text("name"),
        label=fields.integer("label", 0, MOST_NUMBER),
        answers=tuple(classes),
        shares=tuple(shares),
        lows=lows,
        highs=highs,
    )


def _shape(values: object, key: str, count: int | None = None) -> tuple[int, ...]:
    """Sizes greater than 0, as many as asked for."""
    sizes = tuple(Fields(values).integers(key, 1, MOST_BYTES))
    if count is not None and len(sizes) != count:
        raise ValueError(f"{key} has {len(sizes)} sizes instead of {count}")
    return sizes


def _pair(values: object, key: str, least: int = 1) -> tuple[int, int]:
    down, *across = Fields(values).integers(key, least, MOST_BYTES) or [0]
    if len(across) != 1:
        raise ValueError(f"{key} is no pair")
    return down, across[0]
