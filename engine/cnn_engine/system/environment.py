"""What the same arithmetic depends on: elsewhere, a run goes on only approximately."""

import torch

from cnn_engine.system.device import device_name
from cnn_engine.system.processor import processor_name


def environment(device: torch.device, precision: str) -> dict[str, str]:
    """What the figures of a run may depend on to the last digit, by name."""
    known = {
        "PyTorch": str(torch.__version__),
        "device": device_name(device),
        "precision": precision,
    }
    if device.type == "cpu":
        known |= {"threads": str(torch.get_num_threads()), "processor": _processor()}
    return known


def _processor() -> str:
    """Its model and the widest instructions that PyTorch uses of it."""
    return f"{processor_name()} with {torch.backends.cpu.get_cpu_capability()}"
