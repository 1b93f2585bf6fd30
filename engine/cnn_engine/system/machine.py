"""Measures utilization and memory of the machine."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from cnn_engine.runlog.events import MachineMeasured


class Gpu(NamedTuple):
    """Utilization and memory of a GPU."""

    busy: float | None
    """Utilization, 0 to 1; None if it is not available."""

    memory_bytes: int
    """Memory in use by all processes."""

    memory_total_bytes: int


class Machine:
    """Measures the machine, its GPU and the disk of a run.

    Create it in the thread that measures: psutil counts CPU time per calling thread.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = psutil.Process()
        self.measure_gpu: Callable[[], Gpu | None] = lambda: None
        psutil.cpu_percent()  # starts the interval of the first measurement

    def measure(self) -> MachineMeasured | None:
        """Return a measurement; None if the run's directory is gone."""
        try:
            disk = shutil.disk_usage(self._directory)
        except OSError:
            return None
        memory, gpu = psutil.virtual_memory(), self.measure_gpu()
        return MachineMeasured(
            cpu=psutil.cpu_percent() / 100,
            memory_bytes=self._process.memory_info().rss,
            memory_total_bytes=memory.total,
            memory_available_bytes=memory.available,
            disk_free_bytes=disk.free,
            gpu_busy=gpu.busy if gpu else None,
            gpu_memory_bytes=gpu.memory_bytes if gpu else None,
            gpu_memory_total_bytes=gpu.memory_total_bytes if gpu else None,
        )
