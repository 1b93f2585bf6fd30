"""The learning rate in the course of a run, as a share of the one that is set."""

import math

from cnn_engine.config.schema import ScheduleConfig


def rate_share(config: ScheduleConfig, progress: float) -> float:
    """What the learning rate is multiplied with at a point of the run.

    A warm-up in a straight line from `start` to 1, then along the shape down to `end`. With a
    warm-up, `cosine` is the one-cycle policy of Smith and Topin, 2018 (arXiv:1708.07120), and
    `linear` its triangle.

    Args:
        config: The schedule.
        progress: Steps done of all steps, 0 to 1; beyond 1 it is as at 1.
    """
    if config.shape == "constant":
        fallen = 0.0
    else:
        fallen = min(1.0, max(0.0, progress - config.warmup) / (1 - config.warmup))
    if progress < config.warmup:
        return config.start + (1 - config.start) * progress / config.warmup
    if config.shape == "cosine":
        fallen = (1 - math.cos(math.pi * fallen)) / 2
    return 1 + (config.end - 1) * fallen
