"""How busy and how full the GPU is that trains."""

from collections.abc import Callable

import torch

from cnn_engine.system.machine import Gpu


def make_gpu_meter(device: torch.device) -> Callable[[], Gpu | None]:
    """What measures the device; how busy it is can be told only where nvidia-ml-py is installed."""
    if device.type != "cuda":
        return lambda: None

    def measure() -> Gpu:
        free, total = torch.cuda.mem_get_info(device)
        return Gpu(busy=_busy(device), memory_bytes=total - free, memory_total_bytes=total)

    return measure


def _busy(device: torch.device) -> float | None:
    try:
        return torch.cuda.utilization(device) / 100
    except Exception:  # noqa: BLE001 - no nvidia-ml-py, or a driver that refuses, in its own words
        return None
