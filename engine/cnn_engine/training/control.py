"""What the engine does between steps about what it has been asked."""

import math
import time
from typing import Protocol

from cnn_engine.runlog.events import CommandApplied, CommandRefused
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.recorder import Recorder

CHECK_SECONDS = 0.05
"""How often the commands file is looked at: seldom enough to cost nothing, even in fast steps."""

MACHINE_SECONDS = 5.0
"""How often the machine is measured, which takes a tenth of a millisecond."""

MOST_EPOCHS = 1_000_000_000
"""Epochs that may be asked for: beyond all use, and still exact in every figure made from it."""


class StopRequested(Exception):  # noqa: N818 - not an error: the way out of whatever is going on
    """The user asked the run to stop."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


class DetachRequested(StopRequested):
    """The user asked the run to go on in the background."""


class Throttle:
    """Says yes at most once in a while."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def due(self) -> bool:
        """Whether enough time has passed since the last yes."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Trainable(Protocol):
    """What some commands change: the training, once there is one."""

    lr: float
    """Learning rate of the next step."""

    epochs: int
    """Epochs to train in all."""

    epoch: int
    """Epoch in hand, counted from 1; 0 before the first."""

    def save_asked(self) -> str:
        """Save a checkpoint, and record so; why it could not be, if so."""


class Control:
    """Carries out the commands that arrive while a run goes on, and keeps an eye on the machine."""

    def __init__(self, recorder: Recorder) -> None:
        # Only here, as it needs psutil, which the screen need not wait for.
        from cnn_engine.system.machine import Machine  # noqa: PLC0415

        self._recorder = recorder
        self._throttle = Throttle(CHECK_SECONDS)
        self.machine = Machine(recorder.run.path)
        self._machine_throttle = Throttle(MACHINE_SECONDS)
        self._training: Trainable | None = None
        self._training_is_over = False
        self._waiting: list[Command] = []
        # Asked for before the run went to the background, it holds there too.
        asked = recorder.state.stops_after_epoch
        self._stop_after_epoch = Command(name="stop-epoch", by="cli") if asked else None
        self._paused_since: float | None = None
        self._paused_seconds = 0.0
        self._began, self._earlier = self.clock(), recorder.state.elapsed_seconds

    def clock(self) -> float:
        """Seconds, by a clock that stands still while the run is paused."""
        return time.perf_counter() - self._paused_seconds

    def elapsed(self) -> float:
        """Seconds that this and all sessions before took, by that clock."""
        return self._earlier + self.clock() - self._began

    def check(self) -> None:
        """Look for commands; to be called between any two pieces of work. Returns after a pause.

        Raises:
            StopRequested: the run is to end now.
        """
        if self._throttle.due():
            self._obey()

    def begin_training(self, training: Trainable) -> None:
        """From now on there is something to change; what has been asked of it so far is done.

        Raises:
            StopRequested: the run is to end now.
        """
        self._obey()
        self._training = training
        for command in self._waiting:
            self._change(training, command)

    @property
    def stops_after_epoch(self) -> bool:
        """Return True if the run is to end after this epoch."""
        return self._stop_after_epoch is not None

    def end_epoch(self) -> None:
        """To be called when an epoch is done and saved.

        Raises:
            StopRequested: the run was to end then.
        """
        if self._stop_after_epoch is not None:
            raise StopRequested(self._stop_after_epoch.by)

    def end_training(self) -> None:
        """From now on there is nothing left to change."""
        self._training, self._training_is_over = None, True

    def _obey(self) -> None:
        """Do what has been asked; return once the run is not, or no longer, paused."""
        self._look()
        while self._paused_since is not None:
            time.sleep(CHECK_SECONDS)
            self._look()

    def _look(self) -> None:
        if self._machine_throttle.due() and (measured := self.machine.measure()):
            self._recorder.record(measured)
        for command in self._recorder.commands.poll():
            self._apply(command)

    def _apply(self, command: Command) -> None:
        match command.name:
            case "stop":
                self._applied(command)
                raise StopRequested(command.by)
            case "detach":
                self._applied(command)
                self._pass_on(command)
                raise DetachRequested(command.by)
            case "stop-epoch" if self._stop_after_epoch is None and not self._training_is_over:
                self._stop_after_epoch = command
                self._applied(command)
            case "pause" if self._paused_since is None:
                self._paused_since = time.perf_counter()
                self._applied(command)
            case "unpause" if self._paused_since is not None:
                self._paused_seconds += time.perf_counter() - self._paused_since
                self._paused_since = None
                self._applied(command)
            case "checkpoint" | "lr" | "epochs":
                self._change_when_possible(command)

    def _pass_on(self, detach: Command) -> None:
        """Ask whoever goes on with the run for what is still to be done, and for a pause if it is.

        Raises:
            StorageError: the commands file cannot be written.
        """
        is_paused = self._paused_since is not None
        pause = [Command(name="pause", by=detach.by)] if is_paused else []
        for command in [*self._waiting, *pause]:
            send(self._recorder.run.commands, command)

    def _change_when_possible(self, command: Command) -> None:
        if self._training is not None:
            self._change(self._training, command)
        elif self._training_is_over:
            self._refuse(command, f"{command.name}: came too late, training is over")
        else:
            self._waiting.append(command)

    def _change(self, training: Trainable, command: Command) -> None:
        """Do what needs the training; what would change nothing is passed over."""
        value = math.nan if command.value is None else command.value
        least = max(1, training.epoch)
        match command.name:
            case "checkpoint":
                self._applied(command)
                if trouble := training.save_asked():
                    self._refuse(command, trouble)
            case "lr" if not 0 < value < math.inf:
                text = f"lr {value:g}: a learning rate must be a positive number"
                self._refuse(command, text)
            case "lr" if value != training.lr:
                training.lr = value
                self._applied(command)
            case "epochs" if not (value.is_integer() and least <= value <= MOST_EPOCHS):
                text = f"epochs {value:g}: must be a whole number, {least} or more"
                self._refuse(command, text)
            case "epochs" if value != training.epochs:
                training.epochs = int(value)
                self._applied(command)

    def _applied(self, command: Command) -> None:
        self._recorder.record(
            CommandApplied(command=command.name, by=command.by, value=command.value)
        )

    def _refuse(self, command: Command, text: str) -> None:
        self._recorder.record(CommandRefused(command=command.name, by=command.by, text=text))
