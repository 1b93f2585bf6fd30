"""Waits for other processes, and tells for which one if it takes long."""

import time
from collections.abc import Callable
from datetime import timedelta

import torch.distributed as dist
from torch.distributed.distributed_c10d import Store

DELAY_SECONDS = 5.0
"""Time after which a process asks for whom it waits, and between two such questions."""

REPEAT_SECONDS = 30.0
"""Time between two notices about the same wait."""


class Waits:
    """Exchanges of this process; each process counts the same ones."""

    def __init__(
        self, store: Store, rank: int, hosts: tuple[str, ...], notify: Callable[[str], None]
    ) -> None:
        """Tell of long waits.

        Args:
            store: Store of all processes.
            rank: Number of this process.
            hosts: Host names of all processes, by rank.
            notify: Called with a text about a wait.
        """
        self._store, self._rank, self._hosts, self._notify = store, rank, hosts, notify
        self._exchanges = 0

    def wait(self, work: dist.Work) -> None:
        """Wait until an exchange is done.

        Raises:
            RuntimeError: it has failed, or another process did not answer in time.
        """
        self._exchanges += 1
        began = told = time.monotonic()
        while True:
            try:
                work.wait(timedelta(seconds=DELAY_SECONDS))
            except RuntimeError:
                if work.is_completed():
                    raise
            else:
                return
            now = time.monotonic()
            self._store.set(f"waits/{self._rank}", str(self._exchanges))
            if told == began or now - told >= REPEAT_SECONDS:
                told = now
                if late := self._late_processes():
                    self._notify(f"Waiting for {late} for {now - began:.0f} s")

    def _late_processes(self) -> str:
        """Return the processes that do not wait too; empty if there is none."""
        time.sleep(DELAY_SECONDS / 5)  # others may be about to say that they wait
        late = [
            f"process {rank} on {host}"
            for rank, host in enumerate(self._hosts)
            if rank != self._rank and not self._is_waiting(rank)
        ]
        return ", ".join(late)

    def _is_waiting(self, rank: int) -> bool:
        key = f"waits/{rank}"
        return self._store.check([key]) and int(self._store.get(key)) >= self._exchanges
