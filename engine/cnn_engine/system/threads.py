"""Chooses the number of threads or processes to decode and compute with. Needs no PyTorch."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def choose_threads() -> int:
    """Return the number of cores that this process may use, or OMP_NUM_THREADS if it is set.

    PyTorch's own choice knows nothing of a container's quota; twice as many threads as it allows
    make training many times slower. Two threads on one core gain nothing, so cores are counted.
    """
    if asked := _asked():
        return asked
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    quota = min(map(_quota, _cgroups()))
    return max(1, min(cores, allowed or 1, math.ceil(min(quota, cores))))


def _asked() -> int:
    """Return OMP_NUM_THREADS, of a list its first number; 0 if it is none, as OpenMP ignores it."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def _cgroups() -> Iterator[Path]:
    """Yield the directories of the cgroups that this process is in, and of those above them."""
    yield CGROUPS
    yield CGROUPS / "cpu"
    with suppress(OSError):  # only Linux has them
        for line in OWN_CGROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            root = CGROUPS / "cpu" if controllers else CGROUPS
            own = PurePosixPath(path).relative_to("/")
            yield from (root / folder for folder in (own, *own.parents))


def _quota(cgroup: Path) -> float:
    """Return the processors' worth of time that a cgroup may use; infinity without a limit."""
    with suppress(OSError, ValueError):  # not version 2, or `max`
        quota, period = (cgroup / "cpu.max").read_text().split()
        return int(quota) / int(period)
    with suppress(OSError, ValueError):  # not version 1 either
        quota = (cgroup / "cpu.cfs_quota_us").read_text()
        period = (cgroup / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else math.inf  # -1: no limit
    return math.inf
