"""Predictions for image files as plain values, for code that does not import PyTorch."""

from dataclasses import dataclass

from cnn_engine.results.heatmap import Heatmap


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Predicted classes of an image."""

    path: str
    """Path of the file, as given by the user."""

    top: tuple[tuple[str, float], ...]
    """Most probable classes and their probabilities, in descending order."""

    target: str | None
    """True class according to the file's folders; None if none is named like a class."""

    size: int
    """Side in pixels of the image as the model gets it."""

    pixels: bytes
    """The image as the model gets it, before normalization: uint8 [size, size, channels]."""

    looks_inverted: bool = False
    """True if it is bright where the training images are dark, or the reverse."""

    heatmap: Heatmap | None = None
    """Parts of the image that speak for the most probable class, if requested."""


@dataclass(frozen=True, kw_only=True)
class PredictionFailed:
    """An image that could not be classified."""

    path: str
    """Path of the file, as given by the user."""

    reason: str
    """Problem, such as `is not an image, or is damaged`."""
