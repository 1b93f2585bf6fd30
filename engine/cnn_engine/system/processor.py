"""Name of the CPU. Does not import PyTorch."""

import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """Return the CPU's model name; empty if unknown."""
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:  # exists on Linux only
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
