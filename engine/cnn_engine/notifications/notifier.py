"""Sends the messages of a run: none of them delays training, or its end for long."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread

from cnn_engine.errors import error_text
from cnn_engine.notifications.message import Message, alarm_message, end_message
from cnn_engine.notifications.targets import NO_TARGETS, EventName, Targets, read_targets
from cnn_engine.notifications.urls import COMMAND_OPTION, masked_url
from cnn_engine.runlog.events import AlarmRaised, Event, RunFinished
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.console import write_line
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state

MAX_SECONDS = 5.0
"""Time after the end of a run in which all messages must be sent."""

MAX_ALARMS = 5
"""Messages of alarms in one session."""

ALARM_SECONDS = 60.0
"""Minimum interval between two messages of warnings; one of an error is not delayed."""


@dataclass(kw_only=True)
class _Delivery:
    """A message on its way to one receiver."""

    message: Message
    problem: str
    """Reason why it was not delivered; while it is on its way, the one to report then."""
    is_over: Flag = field(default_factory=Flag)


class _Receiver:
    """Gets messages one after the other, in a thread that does not keep the process alive.

    The thread is started at once: Python starts none while it exits.
    """

    def __init__(self, name: str, deliver: Callable[[Message], str], *, is_awaited: bool) -> None:
        """Start the thread.

        Args:
            name: Name without secrets.
            deliver: Delivers a message, and returns why it could not.
            is_awaited: True if a delivery that takes too long has failed.
        """
        self.name = name
        self._deliver = deliver
        self._late = f"no answer in {MAX_SECONDS:.0f} s" if is_awaited else ""
        self._deliveries: list[_Delivery] = []
        self._queue: SimpleQueue[_Delivery | None] = SimpleQueue()
        Thread(target=self._work, name="notifications", daemon=True).start()

    def put(self, message: Message) -> None:
        """Add a message to the queue."""
        delivery = _Delivery(message=message, problem=self._late)
        self._deliveries.append(delivery)
        self._queue.put(delivery)

    def close(self) -> None:
        """Let the thread end after the messages in the queue."""
        self._queue.put(None)

    def problem(self, until: float) -> str:
        """Return why the latest message that failed did; empty if all were delivered.

        Args:
            until: Time to wait until, by `time.monotonic`.
        """
        for delivery in self._deliveries:
            delivery.is_over.wait(max(0.0, until - time.monotonic()))
        problems = [delivery.problem for delivery in self._deliveries if delivery.problem]
        return f"{self.name}: {problems[-1]}" if problems else ""

    def _work(self) -> None:
        while (delivery := self._queue.get()) is not None:
            try:
                delivery.problem = self._deliver(delivery.message)
            except Exception as error:  # noqa: BLE001 - a message must not end anything
                delivery.problem = error_text(error)
            delivery.is_over.set()


class Notifier:
    """Sends the messages of one session of a run. No method raises an exception."""

    def __init__(
        self, run: RunDirectory, known: Targets = NO_TARGETS, *, is_in_series: bool = False
    ) -> None:
        """Prepare to send.

        Args:
            run: The run.
            known: Its targets; empty to read them. Not all file systems can keep them private, so
                that they can be read again.
            is_in_series: True if it is trained as part of a series, whose end has a message of its
                own; only alarms and a failure of the run are worth one then.
        """
        self._run = run
        self._targets, self._problem = NO_TARGETS, ""
        self._receivers: list[_Receiver] = []
        try:
            targets = known or read_targets(run)
            self._targets = targets.in_series() if is_in_series else targets
            self._receivers = _start_receivers(run, self._targets)
        except Exception as error:  # noqa: BLE001 - the run is trained all the same
            self._problem = str(error)
        self._alarms: set[str] = set()
        self._next_warning = 0.0

    def observe(self, event: Event, state: RunState) -> None:
        """Send a message if an event is an alarm: one per kind, and a few in all."""
        if not isinstance(event, AlarmRaised) or "alarm" not in self._targets.events:
            return
        now, is_error = time.monotonic(), event.severity == "error"
        is_early = now < self._next_warning and not is_error
        if is_early or event.alarm in self._alarms or len(self._alarms) >= MAX_ALARMS:
            return
        self._alarms.add(event.alarm)
        self._next_warning = now + ALARM_SECONDS
        self._send(lambda: alarm_message(state, self._run, event))

    def end(self, state: RunState, end: RunFinished) -> str:
        """Send the message for the end of the run; return at the latest after `MAX_SECONDS`.

        Args:
            state: The run's state.
            end: Its last event. If another process continues the run, nothing is sent.

        Returns:
            A line about all that failed, which is in the run's console log, too; empty if nothing
            did.
        """
        if end.status == "detached":
            self._close()
            return ""
        return self.end_with(end.status, lambda: end_message(state, self._run, end))

    def end_with(self, event: EventName, make: Callable[[], Message]) -> str:
        """Send the last message.

        Args:
            event: Its event.
            make: Returns it.

        Returns:
            As `end`.
        """
        until = time.monotonic() + MAX_SECONDS
        self._send(make, to_urls=event in self._targets.events)
        self._close()
        found = [self._problem, *(receiver.problem(until) for receiver in self._receivers)]
        problems = [problem for problem in found if problem]
        if not problems:
            return ""
        text = f"notifications failed: {'; '.join(problems)}"
        write_line(self._run, f"cnn-tui: {text}")
        return text

    def _close(self) -> None:
        for receiver in self._receivers:
            receiver.close()

    def _send(self, make: Callable[[], Message], *, to_urls: bool = True) -> None:
        if not self._receivers:
            return
        try:
            message = make()
        except Exception as error:  # noqa: BLE001 - a damaged state must not end a run
            self._problem = error_text(error)
            return
        for receiver in self._receivers:
            is_command = receiver.name == COMMAND_OPTION
            if message.event != "alarm" if is_command else to_urls:
                receiver.put(message)


def notify_lost(run: RunDirectory, cause: str, exit_code: int) -> str:
    """Send the message for a run whose process has ended without a word.

    Args:
        run: The run, which nobody trains.
        cause: Cause of the end, as a sentence.
        exit_code: Exit code of that process.

    Returns:
        The line of `Notifier.end`.
    """
    notifier = Notifier(run)
    try:
        state, _ = read_state(run)
    except OSError:
        return ""
    end = RunFinished(
        status="failed", exit_code=exit_code, seconds=state.elapsed_seconds, error=cause
    )
    return notifier.end(state, end)


def _start_receivers(run: RunDirectory, targets: Targets) -> list[_Receiver]:
    """Return the receivers; HTTP is imported now, as imports may fail while a program exits."""
    receivers = []
    if targets.urls:
        from cnn_engine.notifications.http import send  # noqa: PLC0415 - takes 50 ms

        receivers = [
            _Receiver(masked_url(url), partial(send, url), is_awaited=True) for url in targets.urls
        ]
    if targets.on_end:
        from cnn_engine.notifications.command import execute  # noqa: PLC0415 - only then

        command = partial(execute, targets.on_end, run=run)
        receivers.append(_Receiver(COMMAND_OPTION, command, is_awaited=False))
    return receivers
