"""Where to train, in which arithmetic and with how many threads: what the machine does best."""

import math
import os
from pathlib import Path

import psutil
import torch

from cnn_engine.config import TrainConfig
from cnn_engine.errors import ConfigError

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}
"""What convolutions and dense layers compute in; None for as they are."""

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where a container's share of the processor stands: microseconds, or `max`, in each period."""


def choose_device(config: TrainConfig) -> torch.device:
    """The device asked for, or with `auto` a GPU if there is one.

    Raises:
        ConfigError: the device asked for is not there.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if config.device == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[config.device]:
        there = " and ".join(name for name, there in present.items() if there)
        raise ConfigError(
            f"train.device: PyTorch finds no {config.device!r} device here, only {there}"
        )
    return torch.device(config.device)


def choose_precision(config: TrainConfig, device: torch.device) -> str:
    """The arithmetic asked for, or with `auto` the fastest that the device has in hardware.

    That is bf16 on processors and GPUs that have it, fp16 on older GPUs, and fp32 elsewhere.

    Raises:
        ConfigError: fp16 was asked for elsewhere than on a GPU.
    """
    if config.precision == "fp16" and device.type == "cpu":
        raise ConfigError("train.precision: fp16 needs a GPU; use bf16 or fp32 on a processor")
    if config.precision != "auto":
        return config.precision
    match device.type:
        case "cuda" if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16"
        case "cuda" if torch.cuda.get_device_capability(device) >= (7, 0):
            return "fp16"
        case "cpu":
            capabilities = torch.cpu.get_capabilities()
            if any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16")):
                return "bf16"
    return "fp32"


def choose_threads() -> int:
    """CPU threads to compute with: the cores this process may use, unless the user says otherwise.

    PyTorch's own choice knows nothing of a container's quota; twice as many threads as it allows
    make training many times slower. Two threads on one core gain nothing, so cores are counted.
    """
    if os.environ.get("OMP_NUM_THREADS"):
        return torch.get_num_threads()
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return max(1, min(cores, allowed or 1, _quota()))


def _quota() -> int:
    """Processors' worth of time that the container may use, rounded up."""
    try:
        quota, period = CPU_QUOTA.read_text().split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or `max`: there is no quota
        return os.cpu_count() or 1


def device_name(device: torch.device) -> str:
    """What the device calls itself: a GPU's name, or just `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
