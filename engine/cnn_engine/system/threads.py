"""Chooses the number of threads or worker processes. Does not import PyTorch."""

import math
import os
from typing import NamedTuple

import psutil

from cnn_engine.system.cgroups import cpu_quota


class ThreadLimits(NamedTuple):
    """What limits the number of threads."""

    cores: int
    """Physical cores of the machine."""

    allowed: int
    """CPUs that this process may use, of which a core may have two."""

    quota: float
    """Number of CPUs whose time the cgroup may use; infinity without a limit."""

    @property
    def threads(self) -> int:
        """Number of physical cores that this process may use."""
        return max(1, min(self.cores, self.allowed, math.ceil(min(self.quota, self.cores))))


def thread_limits() -> ThreadLimits:
    """Return the limits of this process."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return ThreadLimits(
        cores=psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        allowed=len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1,
        quota=cpu_quota(),
    )


def choose_threads() -> int:
    """Return the number of physical cores that this process may use, or OMP_NUM_THREADS if set.

    PyTorch's default ignores a container's CPU quota; twice as many threads as the quota allows
    make training many times slower. A second thread per core gains nothing.
    """
    return omp_num_threads() or thread_limits().threads


def omp_num_threads() -> int:
    """Return OMP_NUM_THREADS, or the first number of a list; 0 if invalid, as OpenMP ignores it."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0
