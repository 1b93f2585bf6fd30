"""Chooses the number of threads or worker processes. Does not import PyTorch."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def choose_threads() -> int:
    """Return the number of physical cores that this process may use, or OMP_NUM_THREADS if set.

    PyTorch's default ignores a container's CPU quota; twice as many threads as the quota allows
    make training many times slower. A second thread per core gains nothing.
    """
    if threads := _omp_num_threads():
        return threads
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    quota = min(map(_quota, _cgroups()))
    return max(1, min(cores, allowed or 1, math.ceil(min(quota, cores))))


def _omp_num_threads() -> int:
    """Return OMP_NUM_THREADS, or the first number of a list; 0 if invalid, as OpenMP ignores it."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def _cgroups() -> Iterator[Path]:
    """Yield the directories of this process's cgroups and of their parents."""
    yield CGROUPS
    yield CGROUPS / "cpu"
    with suppress(OSError):  # exist on Linux only
        for line in OWN_CGROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            root = CGROUPS / "cpu" if controllers else CGROUPS
            own = PurePosixPath(path).relative_to("/")
            yield from (root / folder for folder in (own, *own.parents))


def _quota(cgroup: Path) -> float:
    """Return a cgroup's CPU quota in number of CPUs; infinity without a limit."""
    with suppress(OSError, ValueError):  # not version 2, or `max`
        quota, period = (cgroup / "cpu.max").read_text().split()
        return int(quota) / int(period)
    with suppress(OSError, ValueError):  # not version 1 either
        quota = (cgroup / "cpu.cfs_quota_us").read_text()
        period = (cgroup / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else math.inf  # -1: no limit
    return math.inf
