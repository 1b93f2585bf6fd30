"""Place of this process in a launch by torchrun. Does not import PyTorch."""

import os
import socket
from dataclasses import dataclass

LAUNCH = "TORCHELASTIC_RUN_ID"
"""Environment variable that torchrun sets; `none` if it was given no id."""


VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Environment variables with the place of a process."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """This process among those that torchrun has started."""

    rank: int
    """Counted from 0; the first one records the run."""

    count: int
    """Number of processes; 1 if others were lost, or if it is a launch of one."""

    local_rank: int
    """Counted from 0 on its machine."""

    local_count: int
    """Number of processes on its machine."""

    restart: int
    """Number of times that torchrun has started the processes again."""

    launch: str
    """Name of the launch, the same after torchrun has restarted the processes."""

    @property
    def is_first(self) -> bool:
        """True for the process that records the run."""
        return self.rank == 0


def find_place() -> Place | None:
    """Return this process's place; None if torchrun has not started it."""
    launch = os.environ.get(LAUNCH, "")
    values = [os.environ.get(name, "") for name in VARIABLES]
    if not launch or not all(value.isdecimal() for value in values):
        return None
    rank, count, local_rank, local_count = map(int, values)
    if launch == "none":
        launch = f"{socket.gethostname()}-{os.getppid()}"
    restart = int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0)
    return Place(
        rank=rank,
        count=count,
        local_rank=local_rank,
        local_count=local_count,
        restart=restart,
        launch=launch,
    )
