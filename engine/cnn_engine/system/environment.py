"""Environment of a run: all that can change the results of floating-point arithmetic."""

import torch

from cnn_engine.system.device import device_name
from cnn_engine.system.processor import processor_name


def environment(device: torch.device, precision: str) -> dict[str, str]:
    """Return versions and hardware that results depend on to the last digit, by name."""
    values = {
        "PyTorch": str(torch.__version__),
        "device": device_name(device),
        "precision": precision,
    }
    if device.type == "cpu":
        values |= {"threads": str(torch.get_num_threads()), "processor": _processor()}
    return values


def _processor() -> str:
    """Return the CPU's model and the widest vector instructions that PyTorch uses."""
    return f"{processor_name()} with {torch.backends.cpu.get_cpu_capability()}"
