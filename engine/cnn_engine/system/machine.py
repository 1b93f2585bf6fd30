"""How busy and how full the machine is that trains."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from cnn_engine.runlog.events import MachineMeasured


class Gpu(NamedTuple):
    """How busy and how full a GPU is."""

    busy: float | None
    """Share of the last moment in which it computed, 0 to 1; None where that is not told."""

    memory_bytes: int
    """In use by all processes."""

    memory_total_bytes: int


class Machine:
    """Measures the machine, its GPU once there is one to measure, and the disk of a run.

    To be made in the thread that measures: psutil keeps for each thread since when it counts.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = psutil.Process()
        self.measure_gpu: Callable[[], Gpu | None] = lambda: None
        psutil.cpu_percent()  # from here to the first measurement

    def measure(self) -> MachineMeasured | None:
        """How it is now; None when the run's directory is gone."""
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
