"""Writes what a loop does to the log of its run, in a thread."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cnn_engine.errors import StorageError, error_text
from cnn_engine.runlog.events import Event, Notice, RunFinished
from cnn_engine.runlog.roles import Role
from cnn_engine.runs.alarm_log import AlarmLog
from cnn_engine.runs.commands import without_repeats
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.gpu import make_gpu_meter

# Not imported by the thread: an import while Ctrl+C ends the program changes its exit code.
from cnn_engine.system.machine import Gpu, Machine
from cnn_engine.texts import listed
from cnn_engine.tracking.entries import Entry, Logged
from cnn_engine.tracking.loop_control import LoopControl
from cnn_engine.tracking.loop_log import LoopLog
from cnn_engine.tracking.names import printable
from cnn_engine.tracking.values import Converter, DeviceValue, Value, read_device_values

if TYPE_CHECKING:
    from cnn_engine.notifications.notifier import Notifier

POLL_SECONDS = 0.25
"""Interval at which commands are read."""

EVENT_SECONDS = 0.5
"""Interval at which values are written."""

MACHINE_SECONDS = 5.0

MAX_QUEUE = 10_000
"""Calls of `log` that wait for the thread; beyond, `log` does its work."""

MAX_WARNINGS = 200
"""Problems that are reported, each once."""

MAX_UNWRITTEN_BYTES = 1 << 22
"""While more could not be written, values are merged instead of adding events."""

MAX_WAIT_SECONDS = 10.0
"""Time to wait for the thread at the end; it may wait for a device."""


class Recording:
    """The queue of what a loop has done, and the thread that empties it."""

    def __init__(
        self,
        recorder: Recorder,
        control: LoopControl,
        loop: LoopLog,
        roles: Mapping[Role, str] | None = None,
    ) -> None:
        """Record a run; call `start` to start the thread.

        Args:
            recorder: Records events.
            control: The commands.
            loop: Makes events.
            roles: Series by role that the user has chosen.
        """
        self._roles = roles or {}
        self.recorder, self.control, self.loop = recorder, control, loop
        loop.warn, control.record = self.warn, self.record
        self._converter = Converter(self.warn)
        self.convert = self._converter.convert
        self._queue: deque[Entry] = deque()
        self.lock = threading.RLock()
        """Held while events are recorded."""
        self._end = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="cnn_tui", daemon=True)
        self._warned: set[str] = set()
        self._next_flush = 0.0
        self._alarms = AlarmLog(recorder)
        self.device: Any = None
        """Device that trains, as PyTorch has it; None if unknown."""
        self.notifier: Notifier | None = None
        """Sends messages about the run; None if nobody is to get them."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Add what the loop has done."""
        self._queue.append(entry)
        if len(self._queue) > MAX_QUEUE:
            self.drain()

    def record(self, event: Event) -> None:
        """Record an event in the log."""
        with self.lock:
            if not self._is_closed:
                self.recorder.record(event)

    def warn(self, subject: str, text: str) -> None:
        """Report a problem once per subject: on stderr, and as a notice in the run."""
        if subject in self._warned or len(self._warned) >= MAX_WARNINGS:
            return
        self._warned.add(subject)
        say(text)
        with suppress(Exception):  # recording may be what fails
            self.record(Notice(text=text))

    def drain(self) -> None:
        """Take what is in the queue into account."""
        with self.lock:
            if self._is_closed:
                return
            entries = [self._queue.popleft() for _ in range(len(self._queue))]
            has_device_values = self._converter.has_device_values
            read = self._read_devices(entries) if has_device_values else {}
            for entry in entries:
                if isinstance(entry, Logged):
                    values: Any = entry.values
                    self.loop.log(entry, _numbers(values, read) if has_device_values else values)
                else:
                    self.loop.add(entry)

    def finish(self, last_event: Callable[[], RunFinished], *, is_complete: bool) -> None:
        """Record the rest and the end of the run, and close its log.

        Args:
            last_event: Returns the last event; called when all else is recorded.
            is_complete: True if the loop came to its end.
        """
        self._end.set()
        self.control.release()
        self._thread.join(MAX_WAIT_SECONDS)
        if not self.lock.acquire(timeout=MAX_WAIT_SECONDS):
            say("the end of the run could not be recorded: a device does not answer")
            return
        end: RunFinished | None = None
        try:
            self.drain()
            self.loop.finish(self.control.clock(), is_complete=is_complete)
            self._report_missing_roles()
            end = last_event()
            self.recorder.record(end)
            self._is_closed = True  # other threads of the loop may still log
            self.recorder.close()
        except StorageError as error:
            say(str(error))
        finally:
            self.lock.release()
        if self.notifier is None:
            return
        if notice := self.notifier.end(self.recorder.state, end or last_event()):
            say(notice)

    def abandon(self) -> None:
        """Give up the log in a forked process, so that only its parent holds it."""
        self.recorder.abandon()

    # The thread.

    def _work(self) -> None:
        # Created here, as psutil counts CPU time per thread.
        machine = Machine(self.recorder.run.path)
        machine.measure_gpu = self._measure_gpu
        next_measurement = time.monotonic() + POLL_SECONDS
        while not self._end.wait(POLL_SECONDS):
            try:
                self._poll()
                if time.monotonic() >= next_measurement:
                    next_measurement = time.monotonic() + MACHINE_SECONDS
                    if sample := machine.measure():
                        self.record(sample)
            except Exception as error:  # noqa: BLE001 - training must go on
                self.warn("thread", f"Recording the run failed: {error_text(error)}")

    def _poll(self) -> None:
        with self.lock:
            if self._is_closed:
                return
            self._obey()
            if time.monotonic() < self._next_flush:
                return
            self._next_flush = time.monotonic() + EVENT_SECONDS
            self.drain()
            if error := self.recorder.write_error:
                self.warn("write", f"The log of the run cannot be written: {error}")
            if self.recorder.unwritten_bytes <= MAX_UNWRITTEN_BYTES:
                self.loop.flush(self.control.clock())
                self._alarms.check()

    def _obey(self) -> None:
        try:
            for command in without_repeats(self.recorder.commands.poll()):
                self.control.obey(command)
        except OSError as error:
            self.warn("commands", f"Commands cannot be read: {error.strerror}")

    def _measure_gpu(self) -> Gpu | None:
        return make_gpu_meter(self.device)() if self.device is not None else None

    def _report_missing_roles(self) -> None:
        series = self.recorder.state.series
        for role, name in self._roles.items():
            if series and name not in series:
                self.warn(f"missing {role}", f"roles: no series {name!r} was logged for {role}")

    def _read_devices(self, entries: list[Entry]) -> dict[int, float]:
        """Return the numbers of tensors on devices by `id(tensor)`."""
        values = [
            (name, value)
            for entry in entries
            if isinstance(entry, Logged)
            for name, value in entry.values.items()
            if isinstance(value, DeviceValue)
        ]
        if not values:
            return {}
        self.device = values[-1][1].tensor.device
        numbers, errors = read_device_values(value for _, value in values)
        if errors:
            failed = [name for name, value in values if id(value.tensor) in errors]
            names = listed([repr(name) for name in dict.fromkeys(failed)])
            text = error_text(next(iter(errors.values())))
            self.warn(f"device {names}", f"{names} could not be read from the device: {text}")
        return numbers


def _numbers(values: Mapping[str, Value], read: Mapping[int, float]) -> dict[str, float]:
    """Return the values that are numbers, or have been read."""
    found: dict[str, float] = {}
    for name, value in values.items():
        number = read.get(id(value.tensor)) if isinstance(value, DeviceValue) else value
        if number is not None:
            found[name] = number
    return found


def say(text: str) -> None:
    """Write a line to stderr, if it can be written."""
    with suppress(OSError, ValueError, AttributeError):
        print(f"cnn-tui: {printable(text)}", file=sys.stderr, flush=True)  # noqa: T201
