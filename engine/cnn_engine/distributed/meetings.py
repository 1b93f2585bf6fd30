"""Regular exchanges, in which all processes of a run learn the same decisions at the same step.

No process may decide by its own clock, files or signals to do something that the others must do
too: they would wait for each other forever. What such a decision needs is told in a meeting, and
meetings are at numbers of calls that all processes agree on.
"""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

SECONDS = 0.1
"""Intended time between two meetings; one takes less than a millisecond."""

MAX_DISTANCE = 1000
"""Maximum number of calls between two meetings."""


class Gathers(Protocol):
    """The processes of a run as meetings need them."""

    @property
    def is_first(self) -> bool:
        """True for the process whose clock counts."""

    def gather(self, message: bytes) -> list[bytes]:
        """Return the messages of all processes, by rank."""


class Meetings:
    """The meetings of this process; all of its methods are called by every process."""

    def __init__(self, processes: Gathers) -> None:
        self._processes = processes
        self._calls = self._distance = 1
        self._held_at: float | None = None
        self._conditions: dict[str, Callable[[], bool]] = {}
        self._due: set[str] = set()
        self.measure: Callable[[], dict[str, float]] = dict
        """Returns facts about this process, such as its memory in bytes."""
        self.facts: list[dict[str, float]] = []
        """Facts about all processes at the latest meeting, by rank."""

    def begin_phase(self) -> None:
        """Meet in the next call, as calls may take another time from now on."""
        self._calls, self._distance, self._held_at = 1, 1, None

    def is_now(self) -> bool:
        """Return True if this call is one with a meeting."""
        self._calls -= 1
        return self._calls <= 0

    def hold(self, commands: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Exchange commands; return those of all processes, by rank.

        Args:
            commands: Commands that have reached this process.
        """
        message: dict[str, Any] = {"commands": [*commands], "facts": self.measure()}
        if self._processes.is_first:
            message["due"] = [name for name, is_met in self._conditions.items() if is_met()]
            message["distance"] = self._next_distance()
        messages = [
            json.loads(text) for text in self._processes.gather(json.dumps(message).encode())
        ]
        self.facts = [message["facts"] for message in messages]
        self._due.update(messages[0]["due"])
        self._calls = self._distance = messages[0]["distance"]
        return [command for message in messages for command in message["commands"]]

    def is_due(self, name: str, is_met: Callable[[], bool]) -> bool:
        """Return True once after the first process has found a condition met, in a meeting.

        Args:
            name: Name of the condition.
            is_met: Called in meetings of the first process from now on.
        """
        self._conditions[name] = is_met
        if name not in self._due:
            return False
        self._due.remove(name)
        return True

    def decide(self, value: float) -> float:
        """Return the value of the first process."""
        found: float = json.loads(self._processes.gather(json.dumps(value).encode())[0])
        return found

    def _next_distance(self) -> int:
        """Return the calls until the next meeting, from the duration of those since the last."""
        now, before = time.monotonic(), self._held_at
        self._held_at = now
        if before is None:
            return 1
        seconds_per_call = max(1e-6, now - before) / self._distance
        return max(1, min(MAX_DISTANCE, round(SECONDS / seconds_per_call)))
