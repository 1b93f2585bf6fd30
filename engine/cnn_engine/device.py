"""Where to train, in which arithmetic and with how many threads: what the machine does best."""

import torch

from cnn_engine.config import TrainConfig
from cnn_engine.errors import ConfigError
from cnn_engine.threads import choose_threads

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": None}
"""What convolutions and dense layers compute in; None for as they are."""


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
    """The arithmetic asked for, or with `auto` the fastest that the device has in hardware.

    That is bf16 on processors and GPUs that have it, fp16 on older GPUs, and fp32 elsewhere.

    Raises:
        ConfigError: fp16 was asked for elsewhere than on a GPU.
    """
    if config.precision == "fp16" and device.type == "cpu":
        raise ConfigError("train.precision: fp16 needs a GPU; use bf16 or fp32 on a processor")
    if config.precision != "auto":
        return config.precision
    match device.type:
        case "cuda" if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16"
        case "cuda" if torch.cuda.get_device_capability(device) >= (7, 0):
            return "fp16"
        case "cpu":
            capabilities = torch.cpu.get_capabilities()
            if any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16")):
                return "bf16"
    return "fp32"


def limit_threads() -> None:
    """Have PyTorch compute with `choose_threads` threads, before it resizes the first image."""
    torch.set_num_threads(choose_threads())


def device_name(device: torch.device) -> str:
    """What the device calls itself: a GPU's name, or just `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
