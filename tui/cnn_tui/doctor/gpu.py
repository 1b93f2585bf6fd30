"""Checks of the GPUs and of the driver that PyTorch needs for them."""

import ctypes
import os
import re
from collections.abc import Iterator
from pathlib import Path

from cnn_engine.errors import ConfigError
from cnn_engine.system.gpu_presence import may_exist
from cnn_engine.system.torch_report import Device, TorchReport
from cnn_tui.doctor.check import Check
from cnn_tui.text.numbers import bytes_text

DRIVER_VERSION = Path("/proc/driver/nvidia/version")
"""File with the version of NVIDIA's driver on Linux."""

AMD_DRIVER = Path("/dev/kfd")
"""Device of AMD's driver."""

GET_STARTED = "https://pytorch.org/get-started/locally/"


def check_gpus(report: TorchReport | str) -> Iterator[Check]:
    """Yield a check for each GPU, or one if PyTorch finds none.

    Args:
        report: Report of PyTorch, or the reason why there is none.
    """
    if isinstance(report, str) or not report.devices:
        yield _none(report)
        return
    driver = _driver_text(*_driver())
    for number, device in enumerate(report.devices):
        yield _gpu(f"GPU {number}" if len(report.devices) > 1 else "GPU", device, driver)


def _gpu(name: str, device: Device, driver: str) -> Check:
    total, free = device.memory_bytes, device.free_bytes
    memory = f", {bytes_text(free)} of {bytes_text(total)} free" if total else ""
    value = f"{device.name}{memory}{driver}"
    facts = {"name": device.name, "memory_bytes": total or None, "free_bytes": free or None}
    if device.error:
        advice = f"train with --device cpu, or install another build of PyTorch: {GET_STARTED}"
        value = f"{value}: a computation failed: {device.error}"
        return Check(name, value, "error", advice, ConfigError.exit_code, facts)
    return Check(name, value, facts=facts)


def _none(report: TorchReport | str) -> Check:
    facts = {"name": None, "memory_bytes": None, "free_bytes": None}
    if not any(map(may_exist, ("cuda", "mps"))):
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = "hidden by CUDA_VISIBLE_DEVICES" if hidden in ("", "-1") else "none found"
        return Check("GPU", f"{why}; training uses the CPU", facts=facts)
    if isinstance(report, str):
        return Check("GPU", "unknown, as PyTorch cannot be loaded", "warning", facts=facts)
    version, supported = _driver()
    driver = _driver_text(version, supported)
    built = int(report.cuda.partition(".")[0] or 0)
    if AMD_DRIVER.exists() and not version and not report.rocm:
        value, advice = "an AMD GPU, and PyTorch is not built for ROCm", "install a build for ROCm"
    elif not (built or report.rocm):
        value = f"an NVIDIA GPU{driver}, and PyTorch is built for the CPU only"
        advice = "install a build for CUDA"
    elif supported and supported[0] < built:
        value = f"PyTorch is built for CUDA {report.cuda}, which the driver is too old for{driver}"
        advice = f"update the driver, or install PyTorch for CUDA {supported[0]}"
    else:
        value = f"has a driver{driver}, but PyTorch cannot use it: "
        value += "; ".join(report.device_warnings) or "it gives no reason"
        advice = "restart the machine after an update of the driver, or install another build"
    return Check("GPU", value, "warning", f"{advice}: {GET_STARTED}", facts=facts)


def _driver() -> tuple[str, tuple[int, int] | None]:
    """Return the version of NVIDIA's driver, and the newest CUDA that it supports; empty, None."""
    try:
        found = re.search(r"\s(\d+(?:\.\d+)+)\s", DRIVER_VERSION.read_text())
    except OSError:
        found = None
    return found[1] if found else "", _cuda_of_driver()


def _cuda_of_driver() -> tuple[int, int] | None:
    number = ctypes.c_int()
    try:
        if ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(number)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return number.value // 1000, number.value % 1000 // 10


def _driver_text(version: str, supported: tuple[int, int] | None) -> str:
    cuda = f"CUDA {supported[0]}.{supported[1]}" if supported else ""
    parts = [f"driver {version}" if version else "driver" if cuda else "", cuda]
    text = " for ".join(filter(None, parts))
    return f", {text}" if text else ""
