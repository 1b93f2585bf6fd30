"""Commands to the engine of a run, whichever process trains it."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from cnn_engine.errors import StorageError
from cnn_engine.runs import commands
from cnn_engine.runs.commands import Command, Name
from cnn_tui.live.follower import Follower
from cnn_tui.live.threads import in_thread
from cnn_tui.text.other_loops import refusal_text

ENDED, NOT_RUNNING = "This run has ended", "This run is not running"
"""Reasons why a command cannot be sent; the second is for a process that was killed."""

QUEUED = "This run is queued: no process trains it yet"
"""Reason while a run waits for its turn."""


@dataclass(frozen=True)
class Sent:
    """A command was written to the run's directory."""


@dataclass(frozen=True)
class Refused:
    """A command was not sent."""

    reason: str


class LocalEngine(Protocol):
    """The engine of this process."""

    @property
    def write_error(self) -> str:
        """Reason why the log cannot be written now; empty if it can."""

    def has_ended(self) -> bool:
        """Return True if training was started and has ended."""

    def deliver(self, command: Command) -> None:
        """Send a command without the run's directory."""


class Remote:
    """Appends commands to a file in the run's directory, and remembers the last until applied."""

    def __init__(self, follower: Follower, engine: LocalEngine | None = None) -> None:
        """Send commands to a run.

        Args:
            follower: The run.
            engine: Gets the commands if the directory cannot be written; None if another process
                trains the run.
        """
        self._follower, self._engine = follower, engine
        self._pending: Name | None = None
        self._applied = 0
        """Number of commands that had been applied when the last one was sent."""
        self._will_be_paused = False
        """State after all pauses sent so far; valid until `_pauses_due` of them are applied."""
        self._pauses_due = 0
        self._lock = asyncio.Lock()

    @property
    def pending(self) -> Name | None:
        """The last command; None once the engine has applied it."""
        if len(self._follower.state.commands) != self._applied or not self._follower.is_live:
            self._pending = None
        return self._pending

    @property
    def can_send(self) -> bool:
        """True if the run is running and obeys commands."""
        return self._follower.is_live and not self._follower.state.imported

    def refusal(self, command: Name) -> Refused | None:
        """Return the reason why a command cannot be sent now; None if it can be."""
        if not self._follower.is_live and not self._follower.state.imported:
            if self._follower.waiting:
                return Refused(QUEUED)
            ended = self._follower.state.has_ended
            return Refused(ENDED if ended else NOT_RUNNING)
        reason = refusal_text(self._follower.state, command)
        return Refused(reason) if reason else None

    async def send(self, name: Name, value: float | None = None, by: str = "key") -> Sent | Refused:
        """Send a command.

        Args:
            name: The command.
            value: Its value, if it has one.
            by: Name of the sender, for the run's log.
        """
        if refusal := self.refusal(name):
            return refusal
        command, path = Command(name=name, by=by, value=value), self._follower.run.commands
        self.mark_pending(name)
        try:
            async with self._lock:  # in the order of the keys
                await in_thread(lambda: commands.send(path, command))
        except StorageError as error:
            if self._engine is None or not self._follower.trains_here:
                self._pending = None
                return Refused(str(error))
            self._engine.deliver(command)
        return Sent()

    def mark_pending(self, name: Name) -> None:
        """Record that a command was sent, here or by a signal handler."""
        self._pending, self._applied = name, len(self._follower.state.commands)

    async def toggle_pause(self) -> Sent | Refused:
        """Pause or continue: the opposite of the last one sent, even if it is not applied yet."""
        if refusal := self.refusal("pause"):
            return refusal
        state = self._follower.state
        applied = sum(command.command in ("pause", "unpause") for command in state.commands)
        before = self._will_be_paused, self._pauses_due
        is_paused = self._will_be_paused if applied < self._pauses_due else state.paused
        self._will_be_paused, self._pauses_due = not is_paused, max(applied, self._pauses_due) + 1
        result = await self.send("unpause" if is_paused else "pause")
        if isinstance(result, Refused):
            self._will_be_paused, self._pauses_due = before
        return result

    async def detach(self) -> Sent | Refused:
        """Move the training to a background process."""
        if self._follower.trains_here or not self.can_send:
            return await self.send("detach")
        return Refused("Another process is training this run; you can quit")
