"""Measures utilization and memory of the GPU."""

import sys
from collections.abc import Callable
from types import ModuleType

from cnn_engine.system.machine import Gpu


def make_gpu_meter(device: object) -> Callable[[], Gpu | None]:
    """Return a function that measures the device; utilization needs nvidia-ml-py.

    It returns None if the device is not a CUDA GPU.

    Args:
        device: A device of PyTorch, which whoever has one has imported.
    """
    torch = sys.modules.get("torch")
    if torch is None or getattr(device, "type", "") != "cuda":
        return lambda: None

    def measure() -> Gpu:
        free, total = torch.cuda.mem_get_info(device)
        return Gpu(busy=_busy(torch, device), memory_bytes=total - free, memory_total_bytes=total)

    return measure


def _busy(torch: ModuleType, device: object) -> float | None:
    try:
        return float(torch.cuda.utilization(device)) / 100
    except Exception:  # noqa: BLE001 - nvidia-ml-py is missing, or any error of the driver
        return None
