"""What a person should be told of a run that does not go as it should, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

from cnn_engine.state import RunState

Kind = Literal[
    "non-finite", "spike", "plateau", "overfitting", "stall", "slow data", "disk", "memory"
]


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One thing that is amiss."""

    kind: Kind
    severity: Literal["error", "warning"]
    """Whether the run is lost if nothing is done, or merely not as good as it could be."""

    text: str
    """What is amiss, in a sentence."""

    advice: str
    """What to do about it, in a sentence."""


def alarms(state: RunState, now: float, live: bool) -> list[Alarm]:
    """What is amiss with a run, the worst first.

    Args:
        state: The run.
        now: In seconds since 1970.
        live: Whether a process trains it.
    """
    return []
