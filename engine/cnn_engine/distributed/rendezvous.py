"""Start of a run in several processes: agree on config and images, then form the group.

Until then, processes exchange texts through torchrun's store and poll it, so that each can be
stopped while another one reads images.
"""

import json
import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from cnn_engine.distributed.errors import EndedElsewhereError, ProcessLostError
from cnn_engine.distributed.interface import choose_interface
from cnn_engine.distributed.place import Place
from cnn_engine.distributed.processes import Processes
from cnn_engine.distributed.waits import Waits
from cnn_engine.errors import DataError, TrainingError
from cnn_engine.runlog.events import ProcessesJoined
from cnn_engine.system.device import device_name

POLL_SECONDS = 0.05
"""Interval at which the store is asked for texts of other processes."""

TIMEOUT = timedelta(minutes=10)
"""Time after which a process that does not answer is taken as lost."""

REASON_SECONDS = 2.0
"""Time to wait for the reason why a process has ended."""


class Rendezvous:
    """The texts that the processes of a launch exchange."""

    def __init__(self, place: Place, check: Callable[[], None], store: Store) -> None:
        """Exchange texts through a store.

        Args:
            place: The place of this process.
            check: Called while it waits; may raise to stop.
            store: Store of all processes.
        """
        self._place, self._check = place, check
        # It outlives the processes: those that are started again must not find old texts.
        self._store = PrefixStore(f"cnn-tui/{place.restart}/{place.count}", store)

    @classmethod
    def connect(cls, place: Place, check: Callable[[], None]) -> Self:
        """Connect to torchrun's store; arguments as for a new object."""
        store, _, _ = next(rendezvous("env://", place.rank, place.count))
        return cls(place, check, store)

    def announce(self, plan: dict[str, Any]) -> None:
        """Tell the other processes the plan of the run; called by the first one."""
        self._set("plan", plan)

    def wait_for_plan(self) -> dict[str, Any]:
        """Return the plan of the first process.

        Raises:
            EndedElsewhereError: it has ended the run.
        """
        return self._wait("plan")

    def join(
        self, fingerprint: str, device: torch.device, notify: Callable[[str], None]
    ) -> tuple[Processes, ProcessesJoined]:
        """Form the group once all processes have the same images and versions.

        Args:
            fingerprint: Of the images of this process.
            device: Device of this process.
            notify: Called with a text if this process waits long for another one.

        Returns:
            This process among the others, and the event that describes all.

        Raises:
            ConfigError: the network interface does not exist.
            DataError: another machine has other images.
            TrainingError: another machine has another version of PyTorch.
            EndedElsewhereError: the first process has ended the run.
        """
        own = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "device": device_name(device),
            "torch": torch.__version__,
            "fingerprint": fingerprint,
        }
        self._set(f"ready/{self._place.rank}", own)
        others = [self._wait(f"ready/{rank}") for rank in range(self._place.count)]
        for rank, other in enumerate(others):
            who = f"process {rank} on {other['host']}"
            if other["torch"] != own["torch"]:
                versions = f"PyTorch {other['torch']}, and {own['host']} has {own['torch']}"
                raise TrainingError(f"{who} has {versions}: install the same version")
            if other["fingerprint"] != own["fingerprint"]:
                raise DataError(f"{who} has other images than {own['host']}: data.path")
        if self._place.is_first:
            self._set("go", {})  # it can no longer be stopped before the group exists
        else:
            self._wait("go")
        is_one_machine = len({other["host"] for other in others}) == 1
        choose_interface(os.environ.get("MASTER_ADDR", ""), is_one_machine=is_one_machine)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if self._has_own_gpu(device) else "gloo",
            store=PrefixStore("group", self._store),
            rank=self._place.rank,
            world_size=self._place.count,
            timeout=TIMEOUT,
        )
        place = self._place
        joined = ProcessesJoined(
            hosts=tuple(other["host"] for other in others),
            pids=tuple(other["pid"] for other in others),
            devices=tuple(other["device"] for other in others),
            restarts=place.restart,
        )
        processes = Processes(
            rank=place.rank,
            count=place.count,
            local_rank=place.local_rank,
            waits=Waits(self._store, place.rank, joined.hosts, notify),
        )
        return processes, joined

    def _has_own_gpu(self, device: torch.device) -> bool:
        """Return True if each process has a GPU of its own, as NCCL needs."""
        is_cuda = device.type == "cuda"
        return is_cuda and self._place.local_count <= torch.cuda.device_count()

    def leave(self) -> None:
        """Leave the group, once all processes have finished the run."""
        dist.all_reduce(torch.zeros(1))
        dist.destroy_process_group()

    def end(self) -> None:
        """Tell processes that wait for the first one that it has ended the run."""
        self._set("ended", {})

    def tell_reason(self, text: str, exit_code: int) -> None:
        """Tell the first process why this one ends."""
        host = socket.gethostname()
        self._set(f"reason/{self._place.rank}", {"host": host, "text": text, "code": exit_code})

    def find_reason(self) -> tuple[str, int] | None:
        """Return why another process has ended and its exit code; None if it told no reason."""
        give_up = time.monotonic() + REASON_SECONDS
        while (reason := self._told_reason()) is None and time.monotonic() < give_up:
            time.sleep(POLL_SECONDS)
        return reason

    def _told_reason(self) -> tuple[str, int] | None:
        for rank in range(1, self._place.count):
            if self._store.check([key := f"reason/{rank}"]):
                reason = json.loads(self._store.get(key))
                return f"process {rank} on {reason['host']}: {reason['text']}", reason["code"]
        return None

    def _set(self, key: str, value: dict[str, Any]) -> None:
        self._store.set(key, json.dumps(value))

    def _wait(self, key: str) -> dict[str, Any]:
        while not self._store.check([key]):
            if self._place.is_first and (reason := self._told_reason()) is not None:
                raise ProcessLostError(reason[0])
            if not self._place.is_first and self._store.check(["ended"]):
                raise EndedElsewhereError
            self._check()
            time.sleep(POLL_SECONDS)
        found: dict[str, Any] = json.loads(self._store.get(key))
        return found
