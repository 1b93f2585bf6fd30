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
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from cnn_engine.errors import DataError

LAYERS_FILE, MAPS_FILE = "model.json", "maps.bin"

FORMAT = 1
"""Version of both files."""

MOST_BYTES = 2**24
"""Larger files than any that is written are not read."""

MOST_LAYERS, MOST_NUMBER = 100_000, 2**62

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

    answers: tuple[tuple[int, float], ...]
    """The likeliest classes and their probabilities, most likely first."""

    ranges: tuple[tuple[float, float], ...]
    """Least and greatest value of its maps, for each stage."""

    @property
    def is_right(self) -> bool:
        """Whether the likeliest class is the true one."""
        return bool(self.answers) and self.answers[0][0] == self.label


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
        FileNotFoundError: it is not there (yet).
        DataError: it is damaged, or of a newer version.
        OSError: it cannot be read.
    """
    try:
        return _layers(_object(_bounded(path)))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from None


def read_maps(path: Path) -> Maps:
    """Read `maps.bin`.

    Raises:
        FileNotFoundError: it is not there (yet).
        DataError: it is damaged, or of a newer version.
        OSError: it cannot be read.
    """
    try:
        line, _, content = _bounded(path).partition(b"\n")
        return Maps(_header(_object(line)), content)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from None


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES:,} bytes")
    return content


def _damaged(path: Path, error: Exception) -> DataError:
    reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return DataError(f"{path}: cannot be shown, it is damaged or of another version: {reason}")


def _object(text: bytes) -> dict[str, Any]:
    values = json.loads(text)
    if not isinstance(values, dict) or values["format"] != FORMAT:
        raise ValueError(f"not an object of format {FORMAT}")
    return values


def _layers(values: Mapping[str, Any]) -> Layers:
    return Layers(
        input=_counts(values["input"]),
        layers=tuple(
            Layer(
                name=_text(layer["name"]),
                kind=_text(layer["kind"]),
                detail=_text(layer["detail"]),
                output=_counts(layer["output"]),
                parameters=_count(layer["parameters"]),
                flops=_count(layer["flops"]),
            )
            for layer in _list(values["layers"], MOST_LAYERS)
        ),
    )


def _header(values: Mapping[str, Any]) -> Header:
    stages = tuple(map(_stage, _list(values["stages"])))
    part: Part = values["part"]
    if part not in get_args(Part):
        raise ValueError(f"part {part!r}")
    return Header(
        epoch=_count(values["epoch"]),
        part=part,
        image=_sizes(values["image"], 3),  # type: ignore[arg-type]  # as many as asked for
        whole=_sizes(values["whole"], 2),  # type: ignore[arg-type]
        mean=tuple(map(_number, _list(values["mean"]))),
        std=tuple(map(_number, _list(values["std"]))),
        filters=None if values["filters"] is None else _filters(values["filters"]),
        stages=stages,
        samples=tuple(_sample(sample, len(stages)) for sample in _list(values["samples"])),
    )


def _filters(values: Mapping[str, Any]) -> Filters:
    return Filters(
        layer=_text(values["layer"]),
        shape=_sizes(values["shape"], 4),  # type: ignore[arg-type]
        of=_count(values["of"]),
        stride=_sizes(values["stride"], 2),  # type: ignore[arg-type]
        padding=_counts(values["padding"], 2),  # type: ignore[arg-type]
    )


def _stage(values: Mapping[str, Any]) -> Stage:
    return Stage(
        name=_text(values["name"]),
        kind=_text(values["kind"]),
        shape=_sizes(values["shape"], 3),  # type: ignore[arg-type]
        of=_count(values["of"]),
        whole=_sizes(values["whole"], 2),  # type: ignore[arg-type]
    )


def _sample(values: Mapping[str, Any], stages: int) -> Sample:
    ranges = tuple((_number(low), _number(high)) for low, high in _list(values["ranges"]))
    if len(ranges) != stages:
        raise ValueError(f"{len(ranges)} ranges for {stages} stages")
    return Sample(
        name=_text(values["name"]),
        label=_count(values["label"]),
        answers=tuple((_count(index), _number(share)) for index, share in _list(values["answers"])),
        ranges=ranges,
    )


def _list(value: object, most: int = 10_000) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{str(value)[:50]!r} is not a list of at most {most:,}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MOST_NUMBER:
        raise ValueError(f"{str(value)[:50]!r} is not a count")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float) or not isfinite(number := float(value)):  # type: ignore[arg-type]
        raise ValueError(f"{str(value)[:50]!r} is not a number")
    return number


def _counts(value: object, count: int | None = None) -> tuple[int, ...]:
    values = tuple(map(_count, _list(value)))
    if count is not None and len(values) != count:
        raise ValueError(f"{len(values)} sizes instead of {count}")
    return values


def _sizes(value: object, count: int) -> tuple[int, ...]:
    sizes = _counts(value, count)
    if not all(sizes) or prod(sizes) > MOST_BYTES:
        raise ValueError(f"{sizes} is no size")
    return sizes
