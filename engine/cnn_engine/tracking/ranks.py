"""Rank of this process among those of a distributed training."""

import os
import sys

RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "LOCAL_RANK")
"""Environment variables with the number of the process, the most reliable first."""

SIZES = (
    "WORLD_SIZE",
    "SLURM_STEP_NUM_TASKS",
    "OMPI_COMM_WORLD_SIZE",
    "PMI_SIZE",
    "LOCAL_WORLD_SIZE",
)
"""Environment variables with the number of processes."""


def rank() -> int:
    """Return the number of this process; 0 if it is alone."""
    distributed = _distributed()
    return distributed[0] if distributed else _first_number(RANKS, 0)


def world_size() -> int:
    """Return the number of processes that train together."""
    distributed = _distributed()
    return distributed[1] if distributed else _first_number(SIZES, 1)


def _distributed() -> tuple[int, int] | None:
    """Return rank and size as PyTorch knows them; None if it is not initialized."""
    module = sys.modules.get("torch.distributed")
    if module is None or not module.is_available() or not module.is_initialized():
        return None
    return module.get_rank(), module.get_world_size()


def _first_number(variables: tuple[str, ...], default: int) -> int:
    for variable in variables:
        if (text := os.environ.get(variable, "")).isdecimal():
            return int(text)
    return default
