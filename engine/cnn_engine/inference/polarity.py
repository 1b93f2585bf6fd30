"""Polarity of images: dark on a bright background, or bright on a dark one."""

from collections.abc import Sequence

import numpy as np

from cnn_engine.data.raw import Pixels

MIN_CONTRAST = 0.1
"""Minimum difference of mean values from 0.5: photographs are about as bright as their inverses."""

MIN_DEVIATIONS = 3.0
"""Minimum difference from the training images, in standard deviations of their mean values."""


def looks_inverted(pixels: Pixels, brightness: Sequence[float]) -> bool:
    """Return True if an image is bright where those of the training are dark, or the reverse.

    Args:
        pixels: The image, uint8 [size, size, channels].
        brightness: Mean and standard deviation of the mean values of training images, 0 to 1;
            empty if they are unknown.
    """
    if len(brightness) != 2:
        return False
    mean, deviation = brightness
    value = float(np.mean(pixels)) / 255
    is_on_other_side = (mean - 0.5) * (value - 0.5) < 0
    has_contrast = min(abs(mean - 0.5), abs(value - 0.5)) >= MIN_CONTRAST
    is_unusual = abs(value - mean) > MIN_DEVIATIONS * deviation
    return is_on_other_side and has_contrast and is_unusual
