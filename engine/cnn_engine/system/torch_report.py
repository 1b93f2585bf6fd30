"""Abilities of PyTorch here, reported by a process of its own. Does not import PyTorch.

An installation that is damaged, or for other processors, can crash or hang while it is imported.
"""

import subprocess
import sys

import msgspec

MODULE = "cnn_engine.system.torch_probe"
"""Program that imports PyTorch and prints a report."""

MAX_SECONDS = 120.0
"""Time to wait for the report: on the disk of a cluster the import alone can take a minute."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU that PyTorch can use."""

    name: str
    memory_bytes: int
    """0 if unknown."""
    free_bytes: int
    error: str
    """Reason why a computation on it failed; empty if it did not."""


class TorchReport(msgspec.Struct, frozen=True, kw_only=True):
    """Abilities of the installed PyTorch on this machine."""

    load_seconds: float
    """Time that the import took."""
    cuda: str
    """Version of CUDA that it is built for; empty for none."""
    rocm: str
    """Version of ROCm that it is built for; empty for none."""
    devices: list[Device]
    """GPUs, in the order of their numbers."""
    device_warnings: list[str]
    """Warnings of PyTorch while it looked for GPUs."""
    cpu_capability: str
    """Widest vector instructions that it uses: `AVX512`, `AVX2`, `NEON`, `DEFAULT`, …"""
    has_onednn: bool
    """True if convolutions on the CPU use oneDNN."""
    precision: str
    """Precision that `train.precision = "auto"` selects."""
    torchvision_error: str
    """Reason why torchvision cannot be imported; empty if it can."""


class TorchProbe:
    """A process that loads PyTorch and reports what it can do."""

    def __init__(self) -> None:
        """Start it."""
        # -P: a file in the working directory must not shadow a module of the same name.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", MODULE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def report(self) -> TorchReport | str:
        """Wait for the report and return it, or the reason why there is none."""
        try:
            out, errors = self._process.communicate(timeout=MAX_SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
            return f"did not load within {MAX_SECONDS:.0f} s"
        if self._process.returncode < 0:
            return f"loading it ended with signal {-self._process.returncode}"
        try:
            return msgspec.json.decode(_last_line(out), type=TorchReport)
        except msgspec.DecodeError:
            return _last_line(errors).decode(errors="replace") or "no reason is given"

    def stop(self) -> None:
        """End the process, if it still runs."""
        self._process.kill()
        self._process.communicate()


def _last_line(output: bytes) -> bytes:
    return (output.strip().splitlines() or [b""])[-1]
