"""Chooses the number of threads or worker processes. Does not import PyTorch."""

import math
import os
from typing import NamedTuple

import psutil

from cnn_engine.system.cgroups import cpu_quota

JOB_CPUS = ("SLURM_CPUS_PER_TASK", "NSLOTS")
"""Environment variables of Slurm and Grid Engine with the number of CPUs that a job has asked for,
which not every cluster enforces."""


class ThreadLimits(NamedTuple):
    """Limits of the number of threads."""

    cores: int
    """Physical cores of the machine."""

    allowed: int
    """CPUs that this process may use, of which a core may have two."""

    quota: float
    """Number of CPUs whose time the cgroup may use; infinity without a limit."""

    job: float = math.inf
    """Number of CPUs that the job of a batch system has asked for; infinity outside of one."""

    @property
    def threads(self) -> int:
        """Number of physical cores that this process may use."""
        return max(
            1, min(self.cores, self.allowed, math.ceil(min(self.quota, self.job, self.cores)))
        )


def thread_limits() -> ThreadLimits:
    """Return the limits of this process."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return ThreadLimits(
        cores=psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        allowed=len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1,
        quota=cpu_quota(),
        job=min(map(_job_cpus, JOB_CPUS)),
    )


_requested = 0
"""Threads that the config of the run in this process names; 0 for the choice of this module."""


def request_threads(count: int) -> None:
    """Make `choose_threads` return a number, as far as there are CPUs; 0 for its own choice."""
    global _requested  # noqa: PLW0603 - PyTorch's number of threads belongs to the process, too
    _requested = count


def choose_threads() -> int:
    """Return the number of physical cores that this process may use, or OMP_NUM_THREADS if set.

    A number from `request_threads` goes first.

    PyTorch's default ignores a container's CPU quota; twice as many threads as the quota allows
    make training many times slower. A second thread per core gains nothing.
    """
    if _requested:
        limits = thread_limits()
        return int(min(_requested, limits.allowed, limits.job))
    return omp_num_threads() or thread_limits().threads


def omp_num_threads() -> int:
    """Return OMP_NUM_THREADS, or the first number of a list; 0 if invalid, as OpenMP ignores it."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def _job_cpus(name: str) -> float:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() and int(value) else math.inf
