"""Obeys the commands to a run, as far as its loop can."""

import math
import threading
from collections.abc import Callable, Mapping
from time import perf_counter

from cnn_engine.errors import error_text
from cnn_engine.runlog.events import CommandApplied, CommandRefused, Event
from cnn_engine.runs.commands import Command, Name, value_error
from cnn_engine.tracking.rate import Rate

ORDER: tuple[Name, ...] = ("pause", "unpause", "stop", "stop-epoch", "checkpoint", "lr", "epochs")
"""Commands that loops may obey."""

MISSING: dict[Name, str] = {
    "pause": "the loop has not logged anything yet",
    "unpause": "the loop has not logged anything yet",
    "stop": "it needs run.steps, run.epochs or run.should_stop",
    "stop-epoch": "it needs run.epochs or run.steps",
    "stop-test": "its own program would have to test",
    "checkpoint": "it needs run.should_save",
    "lr": "it needs run.control(optimizer)",
    "epochs": "it needs run.epochs",
    "detach": "just quit, as its own program trains",
}
"""Reasons why a command is not obeyed. What the loop lacks is first: terminals may cut the rest."""

WITH_OTHERS: dict[Name, str] = {
    "stop": "several processes train: they must share run.should_stop",
    "stop-epoch": "several processes train: they must share run.should_stop",
    "lr": "several processes train, and all would have to do it",
    "epochs": "several processes train, and all would have to do it",
}
"""Reasons why one of several processes that train together does not obey a command."""


PAUSE_CHECK_SECONDS = 0.1
"""Interval at which a paused loop takes a new learning rate."""


class LoopControl:
    """Requests of the commands to a run, changed by the recording's thread and read by the loop."""

    def __init__(self, epochs: int) -> None:
        """Begin a session.

        Args:
            epochs: Planned number of epochs; 0 if unknown.
        """
        self.record: Callable[[Event], None] | None = None
        """Records an event, in the thread that applies a command; None to record nothing."""
        self._offered: set[Name] = set()
        self._hints: dict[Name, str] = {}
        self.epochs, self.epoch = epochs, 0
        """Planned number of epochs, and the epoch that the loop is in, by `epochs`."""
        self.stopped_by = ""
        """Sender of the command that stops the loop; empty if it goes on."""
        self.stops_after_epoch: Command | None = None
        self.should_save = False
        self.rate: Rate | None = None
        self._new_rate: Command | None = None
        self._unpaused = threading.Event()
        self._unpaused.set()
        self._paused_at: float | None = None
        self._paused_seconds = 0.0
        """Duration of earlier pauses."""
        self.needs_loop = True
        """True if the loop must call `attend` before it goes on."""

    # Called by the loop.

    def offer(self, *names: Name) -> None:
        """Obey these commands from now on."""
        self._offered.update(names)

    def decline(self, reasons: Mapping[Name, str]) -> None:
        """Refuse commands, unless they are offered, with these reasons."""
        self._hints.update(reasons)

    def clock(self) -> float:
        """Return the time in seconds, without pauses; only differences have a meaning."""
        paused_at = self._paused_at
        return (perf_counter() if paused_at is None else paused_at) - self._paused_seconds

    def attend(self) -> None:
        """Do what only the loop can do between two steps: set a rate, and wait while paused."""
        self.offer("pause", "unpause")
        self._take_new_rate()
        while not self._unpaused.wait(PAUSE_CHECK_SECONDS):
            self._take_new_rate()

    def _take_new_rate(self) -> None:
        """Set the rate that a command asks for, if any."""
        self.needs_loop = False  # first, as the other thread may set it again meanwhile
        command, self._new_rate = self._new_rate, None
        if command is None or command.value is None or self.rate is None:
            return
        try:
            self.rate.set(command.value)
        except Exception as error:  # noqa: BLE001 - the loop's own function may raise anything
            self._refuse(command, f"lr {command.value:g}: {error_text(error)}")
        else:
            self._apply(command)

    def stop_after_epoch(self) -> bool:
        """Return True, and stop, if a command asks to stop after the epoch that has just ended."""
        if self.stops_after_epoch is not None and not self.stopped_by:
            self.stopped_by = self.stops_after_epoch.by or "unknown"
        return bool(self.stopped_by)

    # Called by the recording.

    def current_rate(self) -> float | None:
        """Return the learning rate; None if it is unknown."""
        try:
            return self.rate.get() if self.rate else None
        except Exception:  # noqa: BLE001 - an optimizer may raise anything
            return None

    def offered(self) -> tuple[str, ...]:
        """Return the names of the commands that the loop obeys."""
        return tuple(name for name in ORDER if name in self._offered)

    def release(self) -> None:
        """End a pause without a command, as the run ends."""
        self._set_paused(False)

    def obey(self, command: Command) -> None:
        """Apply a command, or refuse it."""
        name = command.name
        if name not in self._offered:
            hint = self._hints.get(name, MISSING.get(name, "unknown command"))
            self._refuse(command, f"{name} is not possible: {hint}")
        elif error := value_error(command, max(1, self.epoch)):
            self._refuse(command, error)
        elif name == "lr":
            self._new_rate, self.needs_loop = command, True
        elif self._change(command):
            self._apply(command)

    def _change(self, command: Command) -> bool:
        """Do what a command asks for; return False if it changes nothing."""
        match command.name:
            case "pause" | "unpause":
                is_new = self._unpaused.is_set() == (command.name == "pause")
                self._set_paused(command.name == "pause")
                return is_new
            case "stop":
                is_new = not self.stopped_by
                self.stopped_by = self.stopped_by or command.by or "unknown"
                if not self._unpaused.is_set():  # afterwards, so that the loop does not go on
                    self._set_paused(False)
                    self._apply(Command(name="unpause", by=command.by))
                return is_new
            case "stop-epoch":
                is_new = self.stops_after_epoch is None
                self.stops_after_epoch = self.stops_after_epoch or command
                return is_new
            case "checkpoint":
                self.should_save = True
            case "epochs":
                old, self.epochs = self.epochs, int(command.value or math.nan)
                return old != self.epochs
        return True

    def _set_paused(self, is_paused: bool) -> None:
        if is_paused and self._paused_at is None:
            self._paused_at = perf_counter()
            self._unpaused.clear()
            self.needs_loop = True
        elif not is_paused and self._paused_at is not None:
            self._paused_seconds += perf_counter() - self._paused_at
            self._paused_at = None
            self._unpaused.set()

    def _apply(self, command: Command) -> None:
        self._tell(CommandApplied(command=command.name, by=command.by, value=command.value))

    def _refuse(self, command: Command, text: str) -> None:
        self._tell(CommandRefused(command=command.name, by=command.by, text=text))

    def _tell(self, event: Event) -> None:
        if self.record is not None:
            self.record(event)
