"""Follows a run: its state is updated from new lines of its files."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from cnn_engine.runlog.events import Event, RunQueued, RunResumed, RunStarted, ScalarsLogged
from cnn_engine.runlog.log import LineReader, LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.queue_places import queue_place
from cnn_tui.text.queue import waiting_text

Item = TypeVar("Item")

BATCH_SIZE = 2_000
"""Items read at once; between batches the UI handles keys, so a long log opens smoothly."""

VALUES_PER_ITEM = 4
"""Values of series that count like an item, as one event may have hundreds."""


class BatchReader(Generic[Item]):
    """Reads the items of a generator in batches."""

    def __init__(self, poll: Callable[[], Iterator[Item]]) -> None:
        self._poll = poll
        self._items = poll()
        self.has_more = True
        """True if the last batch was not the end."""

    def next_batch(self) -> list[Item]:
        """Return the next items: `BATCH_SIZE`, or fewer if they are large.

        Raises:
            OSError: The file cannot be read. Items read before the error are returned first.
        """
        batch: list[Item] = []
        size = 0
        try:
            for item in self._items:
                batch.append(item)
                size += _size(item)
                if size >= BATCH_SIZE:
                    break
        except OSError:
            if not batch:
                raise
        finally:
            self.has_more = size >= BATCH_SIZE
            if not self.has_more:
                self._items = self._poll()  # a generator that has raised is finished
        return batch


def _size(item: object) -> int:
    return 1 + len(item.values) // VALUES_PER_ITEM if isinstance(item, ScalarsLogged) else 1


@dataclass(frozen=True, kw_only=True)
class Batch:
    """New content of a run's files."""

    events: list[Event]
    output: list[bytes]
    """New lines of captured output."""

    restarts: int
    """Number of times the log was replaced by another one so far."""

    is_live: bool | None
    """True if a process writes the log; None if unknown."""

    waiting: str
    """Text about the place of the run in the queue; empty if it has none."""

    is_restarting: bool
    """True if processes are about to be started again after one was lost."""

    has_more: bool
    """True if there is more to read."""

    error: str
    """Reason why the files cannot be read now; empty if they can."""


class Follower:
    """The state of a run as far as its log has been read."""

    def __init__(self, run: RunDirectory, *, trains_here: bool) -> None:
        """Follow a run.

        Args:
            run: The run.
            trains_here: True if this process trains the run, which then ends with it.
        """
        self.run = run
        self.state = RunState()
        self.error = ""
        """The error from the last read; empty if the files can be read."""
        self.trains_here = trains_here
        self._was_live, self._was_restarting = True, False
        self._waiting = ""
        self._log = LogReader(run.events)
        self._restarts = 0
        self._events = BatchReader(self._log.poll)
        self._output = BatchReader(LineReader(run.console).poll)

    def read(self) -> Batch:
        """Read what is new, without changing the state; may be called in a thread."""
        errors: list[str] = []
        events = _next_batch(self._events, errors)
        output = _next_batch(self._output, errors)
        if self.state.host and not self.trains_here and not errors and not self.run.path.exists():
            errors.append(f"its directory is gone: {self.run.path}")
        waiting = self._waiting_text(events)  # before `is_live`: it may be started meanwhile
        return Batch(
            events=events,
            output=output,
            restarts=self._log.restarts,
            is_live=self._is_held(events),
            waiting=waiting,
            is_restarting=self._waits_for_restart(events),
            has_more=self._events.has_more or self._output.has_more,
            error=errors[-1] if errors else "",
        )

    def apply(self, batch: Batch) -> None:
        """Update the state by a batch; rebuild it if the log was replaced by another one."""
        self.error = batch.error
        if self._restarts != batch.restarts:
            self._restarts, self.state = batch.restarts, RunState()
        for event in batch.events:
            self.state.apply(event)
        if self.state.phase == "detached":
            self.trains_here = False
        if batch.is_live is not None:
            self._was_live = batch.is_live
        self._was_restarting = batch.is_restarting
        self._waiting = batch.waiting

    def _is_held(self, events: list[Event]) -> bool | None:
        """Return True if a process writes the log; None if that is unknown now."""
        host = self._host(events)
        with suppress(OSError):
            return self.run.is_live(host) if host else None
        return None

    def _waiting_text(self, events: list[Event]) -> str:
        """Return the place of the run in the queue as a text; empty if it has none."""
        is_new = any(isinstance(event, RunQueued) for event in events)
        if not is_new and self.state.phase != "queued":
            return ""
        place = queue_place(self.run, self._host(events))
        return waiting_text(place, self.run) if place else ""

    def _waits_for_restart(self, events: list[Event]) -> bool:
        """Return True if processes are about to be started again; False if that is unknown now."""
        host = self._host(events)
        with suppress(OSError):
            return bool(host) and self.run.is_restarting(host)
        return False

    def _host(self, events: list[Event]) -> str:
        """Return the host of the latest session after these events; empty if unknown."""
        kinds = RunStarted | RunQueued | RunResumed
        sessions = [event.host for event in events if isinstance(event, kinds)]
        return sessions[-1] if sessions else self.state.host

    @property
    def is_restarting(self) -> bool:
        """True if processes are about to be started again, as of the last read."""
        has_trained = self.state.phase != "starting" and not self.state.has_ended
        return self._was_restarting and has_trained

    @property
    def waiting(self) -> str:
        """Text about the place of the run in the queue; empty if it is not waiting there."""
        return self._waiting if self.state.phase == "queued" else ""

    @property
    def is_live(self) -> bool:
        """True if a process trains the run, as of the last read."""
        if self.state.has_ended:
            return False
        return self.trains_here or not self.state.host or self._was_live


def _next_batch(reader: BatchReader[Item], errors: list[str]) -> list[Item]:
    """Return the next items; none while the file cannot be read, as on a lost network drive."""
    try:
        return reader.next_batch()
    except OSError as error:
        errors.append(error.strerror or str(error))
        return []


POLL_SECONDS = 0.1


class Printer(Protocol):
    """Prints the events of a run."""

    def show(self, event: Event, state: RunState) -> None:
        """Print an event that has been applied to the state."""

    def clear(self) -> None:
        """Clear the progress line, so that another line can be printed."""

    def close(self) -> None:
        """Restore the terminal; nothing more is printed."""


def follow(
    state: RunState, reader: LogReader, printer: Printer, ended: Callable[[RunState], bool]
) -> RunState:
    """Print a run's events until its end, and return its last state.

    Args:
        state: The state of the run as far as the reader has read.
        reader: Reads the log.
        printer: Prints the events.
        ended: Returns True once no more events can be appended.
    """
    try:
        while True:
            is_last_poll = ended(state)  # before reading, so that no event is missed
            for event in reader.poll():
                state.apply(event)
                printer.show(event, state)
            if is_last_poll:
                return state
            time.sleep(POLL_SECONDS)
    finally:
        printer.close()
