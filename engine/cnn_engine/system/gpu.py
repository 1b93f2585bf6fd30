"""Measures utilization and memory of the GPU."""

from collections.abc import Callable

import torch

from cnn_engine.system.machine import Gpu


def make_gpu_meter(device: torch.device) -> Callable[[], Gpu | None]:
    """Return a function that measures the device; utilization needs nvidia-ml-py.

    It returns None if the device is not a CUDA GPU.
    """
    if device.type != "cuda":
        return lambda: None

    def measure() -> Gpu:
        free, total = torch.cuda.mem_get_info(device)
        return Gpu(busy=_busy(device), memory_bytes=total - free, memory_total_bytes=total)

    return measure


def _busy(device: torch.device) -> float | None:
    try:
        return torch.cuda.utilization(device) / 100
    except Exception:  # noqa: BLE001 - nvidia-ml-py is missing, or any error of the driver
        return None
