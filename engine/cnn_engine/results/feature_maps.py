"""Filters, sample images and feature maps: `maps.bin` in a run's directory.

The training process replaces it atomically after each epoch and after the test. The file is one
line of JSON, the header, followed by raw bytes whose sizes the header gives::

    filters     float32, little-endian [filters, channels, height, width]: first convolution
    bias        float32, little-endian [filters]
    for each sample image
        image   uint8 [height, width, channels]
        for each stage
            maps    uint8 [maps, height, width]; 0 is the sample's minimum at this stage and 255 its
                    maximum, both in the header

It is read and validated here without PyTorch or NumPy.
"""

import json
import struct
from math import prod
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from cnn_engine.results.heatmap import Heatmap
from cnn_engine.storage.json_files import (
    Count,
    Finite,
    PositiveCount,
    Probability,
    damaged,
    read_json_header,
)

MAPS_FILE = "maps.bin"

FORMAT = 1
"""Version of the file."""

MAX_BYTES = 2**24
"""Larger files are refused."""

MAX_SIDE = 2**12
"""Limit of sides in pixels and of numbers of maps: larger pictures would take too long to draw."""

Split: TypeAlias = Literal["validation", "test"]
Size: TypeAlias = Annotated[int, Meta(ge=1, lt=MAX_SIDE)]
Extent: TypeAlias = Annotated[int, Meta(ge=1, lt=MAX_BYTES)]
Padding: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_BYTES)]


class Filters(msgspec.Struct, frozen=True, kw_only=True, rename={"total": "of"}):
    """Filters of the first convolution."""

    layer: str
    """Qualified name of the layer."""

    shape: tuple[Size, Size, Size, Size]
    """Filters saved, channels, height, width."""

    total: PositiveCount
    """Filters of the layer."""

    stride: tuple[Extent, Extent]
    padding: tuple[Padding, Padding]
    """Vertical and horizontal."""


class Stage(
    msgspec.Struct, frozen=True, kw_only=True, rename={"total": "of", "full_size": "whole"}
):
    """A module of the network whose feature maps are saved."""

    name: str
    """Qualified name of the module."""

    kind: str
    """Class name of the module."""

    shape: tuple[Size, Size, Size]
    """Maps saved, and their height and width as saved."""

    total: PositiveCount
    """Maps of the module's output."""

    full_size: tuple[Extent, Extent]
    """Height and width of the module's maps."""


class Sample(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"top_classes": "answers", "probabilities": "shares"},
):
    """An image with the model's predictions.

    Raises:
        ValueError: there is no class, or the lists differ in length.
    """

    name: str
    """File path or number of the image."""

    label: Count
    """Index of the true class."""

    top_classes: tuple[Count, ...]
    """Indices of the most probable classes, in descending order; at least one."""

    probabilities: tuple[Probability, ...]
    """Their probabilities."""

    lows: tuple[Finite, ...]
    highs: tuple[Finite, ...]
    """Minimum and maximum of the feature maps, per stage."""

    heatmap: Heatmap | None = None
    """Parts of the image that speak for the most probable class; None in files of older versions,
    and for networks without feature maps."""

    def __post_init__(self) -> None:
        if not self.top_classes or len(self.probabilities) != len(self.top_classes):
            classes, probabilities = len(self.top_classes), len(self.probabilities)
            raise ValueError(f"{probabilities} probabilities for {classes} classes")

    @property
    def is_correct(self) -> bool:
        """True if the predicted class is the true one."""
        return self.top_classes[0] == self.label


class Header(
    msgspec.Struct, frozen=True, kw_only=True, rename={"split": "part", "full_size": "whole"}
):
    """Content of `maps.bin` except for the raw bytes.

    Raises:
        ValueError: a sample does not have one minimum and maximum per stage.
    """

    epoch: Count
    """Epoch of the weights; 0 before the first."""

    split: Split
    """Split of the data that the samples are from."""

    image: tuple[Size, Size, Size]
    """Height, width and channels of the images as saved."""

    full_size: tuple[Extent, Extent]
    """Height and width of the model's input."""

    mean: tuple[Finite, ...]
    std: tuple[Finite, ...]
    """Normalization per channel, or one value for all: (pixel / 255 - mean) / std."""

    filters: Filters | None
    """None for a network without convolutions."""

    stages: tuple[Stage, ...]
    samples: tuple[Sample, ...]

    def __post_init__(self) -> None:
        stages = len(self.stages)
        for sample in self.samples:
            if not len(sample.lows) == len(sample.highs) == stages:
                ends = f"{len(sample.lows)} and {len(sample.highs)}"
                raise ValueError(f"{ends} minima and maxima for {stages} stages")


class MapsFile:
    """Filters, sample images and their feature maps."""

    def __init__(self, header: Header, content: bytes) -> None:
        """Take the header and the bytes that follow it.

        Raises:
            ValueError: the number of bytes does not fit the header.
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
            raise ValueError(f"{len(content):,} bytes follow the header, which describes {size:,}")

    def filter_values(self) -> tuple[float, ...]:
        """Return the saved filters, [filters, channels, height, width] flattened."""
        return struct.unpack_from(f"<{self._values}f", self._content)

    def biases(self) -> tuple[float, ...]:
        """Return the bias of each saved filter."""
        return struct.unpack_from(f"<{self._biases}f", self._content, 4 * self._values)

    def image(self, sample: int) -> bytes:
        """Return a sample image, uint8 [height, width, channels]."""
        return self._piece(sample, 0)

    def maps(self, sample: int, stage: int) -> bytes:
        """Return a sample's feature maps at a stage, uint8 [maps, height, width]."""
        return self._piece(sample, 1 + stage)

    def _piece(self, sample: int, piece: int) -> bytes:
        first = self._first + sample * sum(self._sizes) + sum(self._sizes[:piece])
        return self._content[first : first + self._sizes[piece]]


def encode_feature_maps(header: Header, content: bytes) -> bytes:
    """Return the content of `maps.bin` from its header and raw bytes."""
    values = {"format": FORMAT, **msgspec.to_builtins(header)}
    return json.dumps(values, allow_nan=False).encode() + b"\n" + content


def read_feature_maps(path: Path) -> MapsFile:
    """Read and validate `maps.bin`.

    Raises:
        DataError: it is missing, cannot be read, or is damaged.
        ConfigError: a newer version of cnn-tui wrote it.
    """
    header, content = read_json_header(path, Header, format_=FORMAT, max_bytes=MAX_BYTES)
    try:
        return MapsFile(header, content)
    except ValueError as error:
        raise damaged(path, error) from None
