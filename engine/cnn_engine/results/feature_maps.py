"""Filters, sample images and feature maps, as a run's directory has them in `maps.bin`.

The process that trains writes it anew after each epoch and after the test, replacing it in one
step: a reader finds one whole state or another. It is one line of JSON, its header, and then raw
bytes in this order, whose number follows from the header::

    filters     float32, little-endian [filters, channels, height, width]: of the first convolution
    bias        float32, little-endian [filters]
    of each sample image
        image   uint8 [height, width, channels]
        of each stage
            maps    uint8 [maps, height, width]; 0 is the sample's least value in the stage, 255
                    its greatest, both in the header

`feature_maps_reader.py` reads and validates it, without PyTorch or NumPy.
"""

import json
import struct
from dataclasses import asdict, dataclass
from math import prod
from typing import Literal, TypeAlias

MAPS_FILE = "maps.bin"

FORMAT = 1
"""Version of the file."""

Part: TypeAlias = Literal["validation", "test"]


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
    """The likeliest classes, most likely first; at least one."""

    shares: tuple[float, ...]
    """Their probabilities."""

    lows: tuple[float, ...]
    highs: tuple[float, ...]
    """Least and greatest value of its maps, for each stage."""

    @property
    def is_right(self) -> bool:
        """Whether the likeliest class is the true one."""
        return self.answers[0] == self.label


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


def maps_as_bytes(header: Header, content: bytes) -> bytes:
    """The content of `maps.bin`."""
    values = {"format": FORMAT, **asdict(header)}
    return json.dumps(values, allow_nan=False).encode() + b"\n" + content
