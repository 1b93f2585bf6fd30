"""Trials of a directory: its file system, and whether files in it can be written and locked."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import psutil

NETWORK = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph", "afpfs")
"""Starts of the names of file systems that are on other machines."""

Locks: TypeAlias = Literal["work", "have no effect", "fail"]


class Trial(NamedTuple):
    """Result of writing to a directory."""

    error: str
    """Reason why a file cannot be written; empty if it can."""
    locks: Locks = "fail"
    free_bytes: int = 0


def file_system(path: Path) -> str:
    """Return the kind of the file system that contains a path, such as `ext4`; empty if unknown."""
    try:
        mounts = psutil.disk_partitions(all=True)
    except OSError:
        return ""
    real = Path(os.path.realpath(path))
    found = [mount for mount in mounts if real.is_relative_to(mount.mountpoint)]
    # Sorting keeps the order of mounts on the same directory, of which the last one is seen.
    kinds = [mount.fstype for mount in sorted(found, key=lambda mount: len(mount.mountpoint))]
    return kinds[-1] if kinds else ""


def try_directory(directory: Path) -> Trial:
    """Write and lock a file in a directory, and remove it."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".cnn-tui-doctor-", dir=directory) as file:
            file.write(b"\n")
            file.flush()
            return Trial("", _try_locks(file.name), shutil.disk_usage(directory).free)
    except OSError as error:
        return Trial(error.strerror or str(error))


def _try_locks(path: str) -> Locks:
    """Lock a file twice, as two processes would: the second lock must be refused."""
    first, second = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    try:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "work"
    except OSError:
        return "fail"
    finally:
        os.close(first)
        os.close(second)
    return "have no effect"
