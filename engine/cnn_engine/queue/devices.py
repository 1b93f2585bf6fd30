"""Devices of this machine, and the lock that each process holds while it trains on one.

The lock is shared, so that runs that are started by hand may train on the same device. The queue
starts a run where it could take the lock exclusively, and lets the run inherit it.
"""

import fcntl
import json
import os
import platform
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from cnn_engine.queue.files import queue_directory
from cnn_engine.storage.locks import LOOK_SECONDS, is_locked, lock, open_locked
from cnn_engine.system.gpu_presence import may_exist

DeviceKind: TypeAlias = Literal["cpu", "cuda", "mps"]

VISIBLE = "CUDA_VISIBLE_DEVICES"

MAX_BYTES = 2**16


def device_kind(configured: str) -> DeviceKind:
    """Return the kind of device that a value of `train.device` stands for, without PyTorch."""
    if configured == "auto":
        if sys.platform == "darwin":
            return "mps" if platform.machine() == "arm64" else "cpu"
        return "cuda" if may_exist("cuda") else "cpu"
    return "cuda" if configured == "cuda" else "mps" if configured == "mps" else "cpu"


def device_names(kind: DeviceKind, visible: str | None) -> list[str]:
    """Return the names of all devices of a kind: `cpu`, `mps`, or `cuda-0`, `cuda-1`, ….

    Args:
        kind: The kind.
        visible: Value of `CUDA_VISIBLE_DEVICES`; None if it is not set.
    """
    if kind != "cuda":
        return [kind]
    tokens = _tokens(visible)
    if tokens is None:
        count = sum(1 for path in Path("/dev").glob("nvidia*") if path.name[6:].isdigit())
        tokens = list(map(str, range(max(1, count))))
    return [f"cuda-{token}" for token in tokens or ["0"]]


def device_name(kind: str, index: int | None) -> str:
    """Return the name of a device of PyTorch, whose GPUs are numbered among the visible ones."""
    if kind != "cuda":
        return kind
    tokens, number = _tokens(os.environ.get(VISIBLE)), index or 0
    return f"cuda-{tokens[number] if tokens and number < len(tokens) else number}"


def variables(name: str) -> dict[str, str]:
    """Return the environment variables with which PyTorch takes a device."""
    return {VISIBLE: name.removeprefix("cuda-")} if name.startswith("cuda-") else {}


def _tokens(visible: str | None) -> list[str] | None:
    """Return the numbers or UUIDs in a value of `CUDA_VISIBLE_DEVICES`; None if it is not set."""
    if visible is None:
        return None
    return [re.sub(r"[^\w.-]", "_", token.strip()) for token in visible.split(",") if token.strip()]


class DeviceLock:
    """A shared lock of a device, until it is closed or its processes have ended."""

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        """Name of the device."""
        self.descriptor = descriptor
        """File descriptor; a process that inherits it inherits the lock."""

    def close(self) -> None:
        """Release the lock, unless a process has inherited it."""
        os.close(self.descriptor)


def hold_device(name: str, run: Path | None) -> DeviceLock | None:
    """Lock a device for a run that trains on it, beside any others; None if that is impossible.

    Args:
        name: Name of the device.
        run: Directory of the run, for messages; None to leave it out.
    """
    with suppress(OSError):
        taken = take_device(name, run)
        if taken is not None:
            return taken
        # The queue may lock the device for a moment.
        descriptor = open_locked(_path(name), fcntl.LOCK_SH, LOOK_SECONDS)
        if descriptor is not None:
            _add(descriptor, run)
            return DeviceLock(name, descriptor)
    return None


def hold_expected_device(configured: str, run: Path) -> DeviceLock | None:
    """Lock the device that a run will train on, before PyTorch is loaded.

    Between several GPUs only PyTorch can choose: the run locks one of them later.

    Args:
        configured: Value of `train.device`.
        run: Directory of the run.

    Returns:
        None if the device is not known yet, or cannot be locked.
    """
    names = device_names(device_kind(configured), os.environ.get(VISIBLE))
    return hold_device(names[0], run) if len(names) == 1 else None


def take_device(name: str, run: Path | None) -> DeviceLock | None:
    """Lock a device for a run if no other run trains on it; return None if one does.

    Raises:
        OSError: the file of the lock cannot be written.
    """
    path = _path(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = open_locked(path, fcntl.LOCK_EX)
    if descriptor is None:
        return None
    os.ftruncate(descriptor, 0)  # runs that have ended
    _add(descriptor, run)
    if lock(descriptor, fcntl.LOCK_SH, LOOK_SECONDS):
        return DeviceLock(name, descriptor)
    os.close(descriptor)
    return None


def runs_on(name: str) -> list[Path]:
    """Return the directories of the runs that train on a device of this machine."""
    try:
        with _path(name).open("rb") as file:
            lines = file.read(MAX_BYTES).splitlines()
    except OSError:
        return []
    runs = []
    for line in lines:
        with suppress(ValueError, OSError):
            run = Path(str(json.loads(line)))
            if is_locked(run / "events.jsonl"):
                runs.append(run)
    return list(dict.fromkeys(runs))


def _path(name: str) -> Path:
    return queue_directory() / "devices" / f"{name}.lock"


def _add(descriptor: int, run: Path | None) -> None:
    """Append the directory of a run to the file of a lock."""
    if run is not None:
        with suppress(OSError):  # a full disk
            os.lseek(descriptor, 0, os.SEEK_END)
            os.write(descriptor, json.dumps(str(run.absolute())).encode() + b"\n")
