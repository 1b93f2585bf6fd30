"""What a model says of image files, in plain values: for programs that know no PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The likeliest classes of an image."""

    path: str
    """The file, as it was named."""

    top: tuple[tuple[str, float], ...]
    """Classes and their probabilities, the likeliest first."""

    target: str | None
    """Its class as its folder says, if one does."""

    size: int
    """Side in pixels of what the model saw."""

    pixels: bytes
    """What the model saw: uint8 [size, size, channels]."""


@dataclass(frozen=True, kw_only=True)
class PredictionFailed:
    """An image that could not be classified."""

    path: str
    reason: str
