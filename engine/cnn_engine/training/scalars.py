"""Series that a run logs beside its losses, accuracies and learning rate."""

import math
from collections.abc import Mapping

from cnn_engine.runlog.events import MachineMeasured, ScalarsLogged

GRAD_NORM = "train/grad_norm"
"""L2 norm of all gradients of one step, before clipping."""

WEIGHT_NORM = "train/weight_norm"
"""L2 norm of all trainable parameters after that step."""

IMAGES_PER_SECOND = "train/images_per_second"
"""Training speed since the last event."""

CALIBRATION_ERROR = "val/calibration_error"
"""Expected calibration error on the validation images, 0 to 1."""

PROCESS_MEMORY = "memory/process_mb"
"""Resident memory of the training process, in 10^6 bytes."""

GPU_MEMORY = "memory/gpu_mb"
"""GPU memory in use by all processes, in 10^6 bytes."""


def scalars_logged(epoch: int, step: int, values: Mapping[str, float]) -> ScalarsLogged:
    """Return the event for some values by the names of their series, with six digits each.

    Args:
        epoch: Number of the epoch.
        step: Steps since the start of the run.
        values: May contain values that are not finite.
    """
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return ScalarsLogged(
        step=step,
        epoch=epoch,
        values={name: (float(f"{value:.6g}"),) for name, value in finite.items()},
        not_finite={name: str(value) for name, value in values.items() if name not in finite},
    )


def memory(sample: MachineMeasured) -> dict[str, float]:
    """Return the memory in use by series."""
    values = {PROCESS_MEMORY: sample.memory_bytes / 1e6}
    if sample.gpu_memory_bytes is not None:
        values[GPU_MEMORY] = sample.gpu_memory_bytes / 1e6
    return values
