"""Applies commands between steps, and samples the machine."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Protocol

from cnn_engine.distributed.meetings import Meetings
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.runlog.events import (
    CommandApplied,
    CommandRefused,
    MachineMeasured,
    Notice,
    ProcessesMeasured,
)
from cnn_engine.runs.commands import Command, send, value_error, without_repeats
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.stop_signals import TIME_LIMIT
from cnn_engine.training.deadline import Deadline
from cnn_engine.training.scalars import memory, scalars_logged

CHECK_SECONDS = 0.05
"""Interval at which the commands file is read; negligible even with fast steps."""

MACHINE_SECONDS = 5.0
"""Interval at which the machine is measured; a measurement takes 0.1 ms."""


class StopRequested(Exception):  # noqa: N818 - control flow, not an error
    """The user asked the run to stop."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


class DetachRequested(StopRequested):
    """The user asked the run to continue in the background."""


class Throttle:
    """Limits how often an action is done."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def due(self) -> bool:
        """Return True if the interval has passed since it last did."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Trainable(Protocol):
    """Attributes of a trainer that commands read and change."""

    lr: float
    """Learning rate of the next step. Setting it raises `ConfigError` if it cannot be changed."""

    epochs: int
    """Total number of epochs to train."""

    @property
    def epoch(self) -> int:
        """Current epoch, counted from 1; 0 before the first."""

    @property
    def save_seconds(self) -> float | None:
        """Longest duration of a checkpoint so far; None before the first."""

    def save_checkpoint(self) -> None:
        """Save a checkpoint and record it; raises `StorageError` if it cannot be saved."""


class Control:
    """Applies the commands that arrive during a run, and records samples of the machine."""

    def __init__(self, recorder: Recorder, deadline: Deadline | None = None) -> None:
        """Apply commands to the recorder's run, and stop it in time for the deadline, if any."""
        # Imported here, so that the first screen does not wait for psutil.
        from cnn_engine.system.machine import Machine  # noqa: PLC0415

        self._recorder, self._deadline = recorder, deadline
        self._throttle = Throttle(CHECK_SECONDS)
        self._meetings: Meetings | None = None
        self.step_costs: Callable[[], tuple[int, float, float]] = lambda: (0, 0.0, 0.0)
        """Returns the number of steps, their duration without the exchange, and that of it."""
        self._memory_bytes = 0
        self._measured: list[dict[str, float]] = []
        """Facts about all processes at the latest `ProcessesMeasured`."""
        self.machine = Machine(recorder.run.path)
        self._machine_throttle = Throttle(MACHINE_SECONDS)
        self._trainer: Trainable | None = None
        self._training_is_over = False
        self._waiting: list[Command] = []
        self._read_errors: set[int | None] = set()
        # A stop that was requested before the run was detached is still valid.
        is_requested = recorder.state.stops_after_epoch
        self._stop_after_epoch = Command(name="stop-epoch", by="cli") if is_requested else None
        self._stop_and_test: Command | None = None
        self._paused_since: float | None = None
        self._paused_seconds = 0.0
        self._began, self._earlier = self.clock(), recorder.state.elapsed_seconds

    def clock(self) -> float:
        """Return the time in seconds, without pauses; only differences have a meaning."""
        return time.perf_counter() - self.paused_seconds

    @property
    def paused_seconds(self) -> float:
        """Duration of all pauses of this session, with the current one."""
        since = self._paused_since
        current = 0.0 if since is None else time.perf_counter() - since
        return self._paused_seconds + current

    def elapsed(self) -> float:
        """Return the duration of this and all earlier sessions in seconds, without pauses."""
        return self._earlier + self.clock() - self._began

    def check(self) -> None:
        """Apply new commands and wait while training is paused; call it between steps or batches.

        Raises:
            StopRequested: the run is to end now.
        """
        if self._throttle.due() if self._meetings is None else self._meetings.is_now():
            self._process_commands()

    def join(self, meetings: Meetings) -> None:
        """Apply commands at the same steps as the other processes of the run from now on.

        Those that have reached one process while it loaded are for all of them.
        """
        self._meetings = meetings
        meetings.measure = self._facts
        stops = filter(None, (self._stop_after_epoch, self._stop_and_test))
        pauses = [Command(name="pause", by="cli")] if self._paused_since is not None else []
        early, self._waiting = [*self._waiting, *stops, *pauses], []
        for command in self._exchange(early):
            if command.name == "stop-test":
                self._stop_and_test = command
            else:
                self._apply(command)

    def _facts(self) -> dict[str, float]:
        """Return the memory of this process, and the cost of its steps so far."""
        steps, step_seconds, exchange_seconds = self.step_costs()
        return {
            "memory": self._memory_bytes,
            "steps": steps,
            "step_seconds": step_seconds,
            "exchange_seconds": exchange_seconds,
        }

    def begin_phase(self) -> None:
        """Meet the other processes in the next check: steps or batches take another time now."""
        if self._meetings is not None:
            self._meetings.begin_phase()

    def is_due(self, name: str, is_met: Callable[[], bool]) -> bool:
        """Return True if something is to be done now, in all processes of the run.

        Args:
            name: Name of what is to be done.
            is_met: Condition of the first process, which may depend on the time.
        """
        return is_met() if self._meetings is None else self._meetings.is_due(name, is_met)

    def decide(self, value: float) -> float:
        """Return a value that depends on the time, as the first process of the run has it."""
        return value if self._meetings is None else self._meetings.decide(value)

    def begin_training(self, trainer: Trainable) -> None:
        """Apply commands to `trainer` from now on, first those that have been waiting for it.

        Raises:
            StopRequested: the run is to end now.
        """
        self._poll()
        self._trainer = trainer
        if self._deadline is not None:
            self._deadline.begin()
        waiting, self._waiting = self._waiting, []
        for command in without_repeats(waiting):
            self._change(trainer, command)
        self._process_commands()

    @property
    def stops_after_epoch(self) -> bool:
        """True if the run is to end after the current epoch."""
        return self._stop_after_epoch is not None

    @property
    def stops_and_tests(self) -> bool:
        """True if the run is to end now, but after a test of its best weights."""
        return self._stop_and_test is not None

    def end_training(self) -> None:
        """Refuse commands that change training from now on."""
        self._trainer, self._training_is_over = None, True

    def end_run(self, *, is_complete: bool) -> None:
        """End a run that was to stop after an epoch or a test; call it after the test.

        Args:
            is_complete: True if no step is left, so that the run was not stopped early.

        Raises:
            StopRequested: the run was stopped early.
        """
        stop = self._stop_and_test or self._stop_after_epoch
        if stop is not None and not is_complete:
            raise StopRequested(stop.by)

    def _process_commands(self) -> None:
        """Apply new commands; return once the run is not paused.

        A run that is paused while it loads waits before its first step, where it can be changed.
        """
        self._poll()
        is_loading = self._trainer is None and not self._training_is_over
        while self._paused_since is not None and not is_loading:
            time.sleep(CHECK_SECONDS)
            self._poll()

    def _poll(self) -> None:
        if self._machine_throttle.due() and (sample := self.machine.measure()):
            self._recorder.record(sample)
            self._memory_bytes = sample.memory_bytes
            self._record_memory(sample)
            if self._meetings is not None:
                self._record_processes(self._meetings.facts)
        for command in without_repeats(self._all_commands()):
            self._apply(command)

    def _record_memory(self, sample: MachineMeasured) -> None:
        """Record the memory in use as series, while training is not paused."""
        if self._trainer is not None and self._paused_since is None:
            state = self._recorder.state
            event = scalars_logged(state.epoch, state.steps_done, memory(sample))
            self._recorder.record(event)

    def _record_processes(self, facts: list[dict[str, float]]) -> None:
        """Record the cost of the steps of all processes since the last time."""
        pairs = [*zip(self._measured, facts, strict=False)]
        steps = facts[0]["steps"] - self._measured[0]["steps"] if pairs else 0
        self._measured = facts
        if steps <= 0:
            return

        def per_step(name: str) -> tuple[float, ...]:
            return tuple((new[name] - old[name]) / steps for old, new in pairs)

        self._recorder.record(
            ProcessesMeasured(
                step_seconds=per_step("step_seconds"),
                exchange_seconds=per_step("exchange_seconds"),
                memory_bytes=tuple(int(each["memory"]) for each in facts),
            )
        )

    def _all_commands(self) -> Iterable[Command]:
        """Return new commands, with those of the other processes of the run."""
        return self._exchange(self._new_commands())

    def _exchange(self, commands: Iterable[Command]) -> Iterable[Command]:
        """Return commands that have reached this process, and those of the others."""
        if self._meetings is None:
            return commands
        fields = [asdict(command) for command in commands]
        return [Command(**found) for found in self._meetings.hold(fields)]

    def _new_commands(self) -> Iterator[Command]:
        """Yield new commands, and a stop once it is due by the deadline.

        Why none can be read, as from a lost network drive, is recorded once.
        """
        trainer = self._trainer
        save_seconds = trainer.save_seconds if trainer else 0.0
        if self._deadline is not None and self._deadline.is_due(save_seconds):
            yield Command(name="stop", by=TIME_LIMIT)
        try:
            yield from self._recorder.commands.poll()
        except OSError as error:
            if error.errno not in self._read_errors:
                text = f"Commands cannot be read: {error.strerror}; signals still stop the run"
                self._recorder.record(Notice(text=text))
            self._read_errors.add(error.errno)

    def _apply(self, command: Command) -> None:
        match command.name:
            case "stop":
                self._record(command)
                raise StopRequested(command.by)
            case "stop-test":
                self._record(command)
                self._stop_before_test(command)
            case "detach" if self._meetings is not None:
                self._refuse(command, "detach: several processes train in the background already")
            case "detach":
                self._record(command)
                self._resend(command)
                raise DetachRequested(command.by)
            case "stop-epoch" if self._stop_after_epoch is None and not self._training_is_over:
                self._stop_after_epoch = command
                self._record(command)
            case "pause" if self._paused_since is None:
                self._paused_since = time.perf_counter()
                self._record(command)
            case "unpause" if self._paused_since is not None:
                self._end_pause(self._paused_since, command)
            case "checkpoint" | "lr" | "epochs":
                self._change_when_possible(command)

    def _end_pause(self, since: float, command: Command) -> None:
        self._paused_seconds += time.perf_counter() - since
        self._paused_since = None
        self._record(command)

    def _stop_before_test(self, command: Command) -> None:
        """End training, so that the test follows; a test that runs already just continues.

        While the run loads, it continues until it is loaded.

        Raises:
            StopRequested: training is to end now.
        """
        if self._training_is_over:
            return
        self._stop_and_test = command
        if self._paused_since is not None:
            self._end_pause(self._paused_since, Command(name="unpause", by=command.by))
        if self._trainer is not None:
            raise StopRequested(command.by)

    def _resend(self, detach: Command) -> None:
        """Send waiting commands, and a pause if the run is paused, to the next process.

        Raises:
            StorageError: the commands file cannot be written.
        """
        is_paused = self._paused_since is not None
        pause = [Command(name="pause", by=detach.by)] if is_paused else []
        for command in [*self._waiting, *pause]:
            send(self._recorder.run.commands, command)

    def _change_when_possible(self, command: Command) -> None:
        if self._trainer is not None:
            self._change(self._trainer, command)
        elif self._training_is_over:
            self._refuse(command, f"{command.name}: too late, training is over")
        else:
            self._waiting.append(command)

    def _change(self, trainer: Trainable, command: Command) -> None:
        """Apply a command to the trainer; ignore it if it changes nothing."""
        if error := value_error(command, max(1, trainer.epoch)):
            self._refuse(command, error)
            return
        match command.name:
            case "checkpoint":
                self._record(command)
                try:
                    trainer.save_checkpoint()
                except StorageError as error:
                    self._refuse(command, str(error))
            case "lr" if command.value is not None and command.value != trainer.lr:
                try:
                    trainer.lr = command.value
                except ConfigError as error:
                    self._refuse(command, str(error))
                else:
                    self._record(command)
            case "epochs" if command.value is not None and command.value != trainer.epochs:
                trainer.epochs = int(command.value)
                self._record(command)

    def _record(self, command: Command) -> None:
        self._recorder.record(
            CommandApplied(command=command.name, by=command.by, value=command.value)
        )

    def _refuse(self, command: Command, text: str) -> None:
        self._recorder.record(CommandRefused(command=command.name, by=command.by, text=text))
