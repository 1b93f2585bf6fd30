"""Limits that Linux sets for a group of processes, such as those of a container or of a job."""

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def cpu_quota() -> float:
    """Return the number of CPUs whose time this process may use; infinity without a limit."""
    return min(map(_quota, _cgroups("cpu")))


def memory_limit() -> float:
    """Return the memory that this process and others of its groups may use, in bytes.

    Infinity without a limit.
    """
    return min(map(_memory, _cgroups("memory")))


def _cgroups(controller: str) -> Iterator[Path]:
    """Yield the directories of this process's cgroups and of their parents."""
    yield CGROUPS
    yield CGROUPS / controller
    with suppress(OSError):  # exist on Linux only
        for line in OWN_CGROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            root = CGROUPS / controller if controllers else CGROUPS
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


def _memory(cgroup: Path) -> float:
    """Return a cgroup's limit of memory in bytes; infinity without a limit."""
    for file in ("memory.max", "memory.limit_in_bytes"):  # version 2, version 1
        with suppress(OSError, ValueError):  # does not exist, or `max`
            return int((cgroup / file).read_text())
    return math.inf
