"""How busy and how full the GPU is that trains."""

import importlib.util
from collections.abc import Callable

import torch

from cnn_engine.machine import Gpu


def gpu_meter(device: torch.device) -> Callable[[], Gpu | None]:
    """What measures the device; how busy it is can be told only where nvidia-ml-py is installed."""
    if device.type != "cuda":
        return lambda: None
    tells_busy = importlib.util.find_spec("pynvml") is not None

    def measure() -> Gpu:
        free, total = torch.cuda.mem_get_info(device)
        busy = torch.cuda.utilization(device) / 100 if tells_busy else None
        return Gpu(busy=busy, memory_bytes=total - free, memory_total_bytes=total)

    return measure
