"""The processor by name. Needs no PyTorch."""

import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """Return what the processor calls itself; may be empty."""
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:  # only Linux has it
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
