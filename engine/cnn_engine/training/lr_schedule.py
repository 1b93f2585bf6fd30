"""The learning rate schedule."""

import math

from cnn_engine.config.schema import ScheduleConfig


def lr_factor(config: ScheduleConfig, progress: float) -> float:
    """Return the factor that the base learning rate is multiplied by.

    It rises linearly from `start` to 1 during the warm-up, then follows the shape down to `end`.
    With a warm-up, `cosine` is the one-cycle policy of Smith and Topin, 2018 (arXiv:1708.07120),
    and `linear` its triangular form.

    Args:
        config: The schedule.
        progress: Finished steps as a fraction of all, from 0; above 1 the factor is that of 1.
    """
    if progress < config.warmup:
        return config.start + (1 - config.start) * progress / config.warmup
    if config.shape == "constant":
        return 1.0
    decayed = min(1.0, max(0.0, progress - config.warmup) / (1 - config.warmup))
    if config.shape == "cosine":
        decayed = (1 - math.cos(math.pi * decayed)) / 2
    return 1 + (config.end - 1) * decayed
