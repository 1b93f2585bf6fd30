"""Predictions for image files as plain values, for code that does without PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Predicted classes of an image."""

    path: str
    """The file, as the user named it."""

    top: tuple[tuple[str, float], ...]
    """Most probable classes and their probabilities, in descending order."""

    target: str | None
    """True class according to the file's folder; None if no folder is named like a class."""

    size: int
    """Side in pixels of the image as the model gets it."""

    pixels: bytes
    """The image as the model gets it, before normalization: uint8 [size, size, channels]."""


@dataclass(frozen=True, kw_only=True)
class PredictionFailed:
    """An image that could not be classified."""

    path: str
    reason: str
