"""Selects the device, precision and number of threads that are fastest on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from cnn_engine.config.schema import TrainConfig
from cnn_engine.errors import ConfigError
from cnn_engine.system.processor import processor_name
from cnn_engine.system.threads import choose_threads, request_threads

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "tf32": None, "fp32": None}
"""Dtype that convolutions and dense layers compute in; None for fp32 tensors."""


def choose_device(config: TrainConfig, number: int = 0) -> torch.device:
    """Return the configured device, or with `auto` a GPU if there is one.

    A GPU has an index (`cuda:0`, `mps:0`), like the device of its tensors, because
    `torch.device("cuda") != torch.device("cuda:0")`.

    Args:
        config: Names the device.
        number: Number of this process on its machine, whose processes share the GPUs in turn.

    Raises:
        ConfigError: the device is not available.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if config.device == "auto":
        return _device(next(name for name, is_present in present.items() if is_present), number)
    if not present[config.device]:
        found = " and ".join(name for name, is_present in present.items() if is_present)
        raise ConfigError(
            f"train.device: PyTorch finds no {config.device!r} device here, only {found}"
        )
    return _device(config.device, number)


def _device(name: str, number: int) -> torch.device:
    if name == "cpu":
        return torch.device("cpu")
    return torch.device(name, number % max(1, torch.cuda.device_count()) if name == "cuda" else 0)


def choose_precision(config: TrainConfig, device: torch.device) -> str:
    """Return the configured precision, or with `auto` the fastest that the device has in hardware.

    The fastest is bf16 on GPUs that have it and CPUs that are fast in it, fp16 on older GPUs, and
    fp32 elsewhere.

    Raises:
        ConfigError: fp16 on a CPU, or tf32 on anything but an NVIDIA GPU.
    """
    if config.precision == "fp16" and device.type == "cpu":
        raise ConfigError("train.precision: fp16 needs a GPU; use bf16 or fp32 on a CPU")
    if config.precision == "tf32" and device.type != "cuda":
        raise ConfigError("train.precision: tf32 needs an NVIDIA GPU; use fp32 or auto here")
    if config.precision != "auto":
        return config.precision
    match device.type:
        case "cuda" if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16"
        case "cuda" if torch.cuda.get_device_capability(device) >= (7, 0):
            return "fp16"
        case "cpu" if _has_fast_bf16():
            return "bf16"
    return "fp32"


def _has_fast_bf16() -> bool:
    """Return True if the CPU multiplies matrices faster in bf16 than in fp32.

    Intel CPUs since Sapphire Rapids, which have AVX512-FP16, are fast in bf16 only with AMX, which
    a virtual machine may hide: then `cnn-tui bench` shows half the matrix rate of fp32.
    """
    has = torch.cpu.get_capabilities()
    if has.get("amx_bf16") or has.get("arm_bf16"):
        return True
    is_late_intel = has.get("avx512_fp16") and "Intel" in processor_name()
    return bool(has.get("avx512_bf16") and not is_late_intel)


def warm_up(config: TrainConfig) -> None:
    """Load the libraries of a GPU if training will use one, which takes up to a second."""
    with suppress(Exception):  # an error recurs, and is reported, when the GPU is used
        device = choose_device(config)
        if device.type == "cuda":
            maps = torch.ones(1, 8, 8, 8, device=device, dtype=torch.float16)
            torch.nn.functional.conv2d(maps, maps).flatten(1).mm(maps[0, 0, :1])


@contextmanager
def autocast(device: torch.device, precision: str, *, benchmark: bool = False) -> Iterator[None]:
    """Compute in a precision: autocast for bf16 and fp16, and full fp32 on a GPU unless it is tf32.

    By default PyTorch lets cuDNN compute fp32 convolutions in TF32, with 10 bits of mantissa.

    Args:
        device: Device of the tensors.
        precision: A key of `DTYPES`.
        benchmark: Let cuDNN try its algorithms for each new shape and keep the fastest.
    """
    dtype = DTYPES[precision]
    with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        if device.type != "cuda":
            yield
            return
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        convolution = cudnn.conv  # type: ignore[attr-defined]  # set dynamically
        before = cudnn.benchmark, convolution.fp32_precision, matmul.fp32_precision
        fp32 = "tf32" if precision == "tf32" else "ieee"
        cudnn.benchmark, convolution.fp32_precision, matmul.fp32_precision = benchmark, fp32, fp32
        try:
            yield
        finally:
            cudnn.benchmark, convolution.fp32_precision, matmul.fp32_precision = before


def limit_threads(count: int = 0) -> None:
    """Set PyTorch's number of CPU threads. Call it before any computation.

    Args:
        count: Threads to use, here and wherever `choose_threads` is called; 0 for its own choice.
    """
    request_threads(count)
    torch.set_num_threads(choose_threads())


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or `cpu` or `mps`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
