"""Looks for a GPU without PyTorch, which takes seconds to import."""

import os
import sys
from pathlib import Path

DRIVER_FILES = (
    "/dev/nvidiactl",
    "/dev/nvhost-ctrl",  # NVIDIA Jetson
    "/dev/nvgpu",
    "/dev/dxg",  # Windows Subsystem for Linux
    "/dev/kfd",  # AMD
)
"""Files, one of which exists if a driver of a GPU is loaded."""


def may_exist(device: str) -> bool:
    """Return False if there certainly is no such device.

    Args:
        device: A value of `train.device`.
    """
    if device == "mps":
        return sys.platform == "darwin"
    if device == "cuda":
        is_hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
        return not is_hidden and any(Path(file).exists() for file in DRIVER_FILES)
    return True
