"""Where to train and in which arithmetic, chosen by looking at the machine."""

import torch

from cnn_engine.config import TrainConfig
from cnn_engine.errors import ConfigError


def choose_device(config: TrainConfig) -> torch.device:
    """The device asked for, or with `auto` a GPU if there is one.

    Raises:
        ConfigError: the device asked for is not there.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if config.device == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[config.device]:
        there = " and ".join(name for name, there in present.items() if there)
        raise ConfigError(
            f"train.device: PyTorch finds no {config.device!r} device here, only {there}"
        )
    return torch.device(config.device)


def choose_precision(config: TrainConfig, device: torch.device) -> str:
    """The arithmetic asked for, or with `auto` bf16 where the device has it in hardware."""
    if config.precision != "auto":
        return config.precision
    match device.type:
        case "cuda":
            fast = torch.cuda.is_bf16_supported(including_emulation=False)
        case "cpu":
            capabilities = torch.cpu.get_capabilities()
            fast = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))
        case _:
            fast = False
    return "bf16" if fast else "fp32"


def device_name(device: torch.device) -> str:
    """What the device calls itself: a GPU's name, or just `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
