"""Prints what PyTorch can do on this machine: `python -m cnn_engine.system.torch_probe`."""

import time

started = time.perf_counter()

import sys  # noqa: E402 - the import of PyTorch is timed
import warnings  # noqa: E402

import msgspec  # noqa: E402
import torch  # noqa: E402

load_seconds = time.perf_counter() - started

from cnn_engine.config.schema import TrainConfig  # noqa: E402
from cnn_engine.errors import error_text  # noqa: E402
from cnn_engine.system.device import choose_device, choose_precision  # noqa: E402
from cnn_engine.system.torch_report import Device, TorchReport  # noqa: E402


def probe() -> TorchReport:
    """Return what PyTorch can do on this machine."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        devices = _devices()
    return TorchReport(
        load_seconds=load_seconds,
        cuda=torch.version.cuda or "",
        rocm=torch.version.hip or "",
        devices=devices,
        device_warnings=[" ".join(str(warning.message).split()) for warning in caught],
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        has_onednn=torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
        precision=choose_precision(TrainConfig(), choose_device(TrainConfig())),
        torchvision_error=_torchvision_error(),
    )


def _devices() -> list[Device]:
    if torch.cuda.is_available():
        names = map(torch.cuda.get_device_name, range(torch.cuda.device_count()))
        return [_device("cuda", number, name) for number, name in enumerate(names)]
    return [_device("mps", 0, "Apple GPU")] if torch.backends.mps.is_available() else []


def _device(kind: str, number: int, name: str) -> Device:
    """Return a GPU, with the error of a convolution and a product on it."""
    device = torch.device(kind, number)
    error, free, total = "", 0, 0
    try:
        maps = torch.ones(1, 8, 8, 8, device=device)
        torch.nn.functional.conv2d(maps, maps).flatten(1).mm(maps[0, 0, :1]).sum().item()
        if kind == "cuda":
            free, total = torch.cuda.mem_get_info(device)
    except Exception as failure:  # noqa: BLE001 - any error of the driver
        error = error_text(failure)
    return Device(name=name, memory_bytes=total, free_bytes=free, error=error)


def _torchvision_error() -> str:
    try:
        import torchvision  # noqa: F401, PLC0415 - may fail, as after an update of PyTorch alone
    except Exception as failure:  # noqa: BLE001 - of native code
        return error_text(failure)
    return ""


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(probe()).decode() + "\n")
