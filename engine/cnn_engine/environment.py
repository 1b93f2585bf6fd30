"""What the same arithmetic depends on: elsewhere, a run goes on only approximately."""

import platform
from pathlib import Path

import torch

from cnn_engine.device import device_name

CPU_INFO = Path("/proc/cpuinfo")


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
    return f"{_model()} with {torch.backends.cpu.get_cpu_capability()}"


def _model() -> str:
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:  # only Linux has it
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
