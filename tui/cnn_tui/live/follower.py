"""Follows a run: its state is updated from new lines of its files."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Generic, Protocol, TypeVar

from cnn_engine.runlog.events import Event
from cnn_engine.runlog.log import LineReader, LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory

Item = TypeVar("Item")

BATCH_SIZE = 2_000
"""Items read at once; between batches the UI handles keys, so a long log opens smoothly."""


class BatchReader(Generic[Item]):
    """Reads the items of a generator in batches."""

    def __init__(self, poll: Callable[[], Iterator[Item]]) -> None:
        self._poll = poll
        self._items = poll()
        self.has_more = True
        """True if the last batch was not the end."""

    def next_batch(self) -> list[Item]:
        """Return the next items, `BATCH_SIZE` at most.

        Raises:
            OSError: The file cannot be read. Items read before the error are returned first.
        """
        batch: list[Item] = []
        try:
            for item in islice(self._items, BATCH_SIZE):
                batch.append(item)
        except OSError:
            if not batch:
                raise
        finally:
            self.has_more = len(batch) == BATCH_SIZE
            if not self.has_more:
                self._items = self._poll()  # a generator that has raised is finished
        return batch


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
        """The error from the last poll; empty if the files can be read."""
        self.trains_here = trains_here
        self._was_live = True
        self._log = LogReader(run.events)
        self._restarts = 0
        self._events = BatchReader(self._log.poll)
        self._output = BatchReader(LineReader(run.console).poll)

    def poll(self) -> tuple[list[Event], list[bytes]]:
        """Apply new events to the state; return them, and new lines of captured output.

        If the log has been replaced by another one, the state is rebuilt from its start.
        """
        self.error = ""
        events = self._next_batch(self._events)
        if self._restarts != self._log.restarts:
            self._restarts, self.state = self._log.restarts, RunState()
        for event in events:
            self.state.apply(event)
        if self.state.phase == "detached":
            self.trains_here = False
        return events, self._next_batch(self._output)

    def _next_batch(self, reader: BatchReader[Item]) -> list[Item]:
        """Return the next items; none while the file cannot be read, as on a lost network drive."""
        try:
            return reader.next_batch()
        except OSError as error:
            self.error = error.strerror or str(error)
            return []

    @property
    def has_more(self) -> bool:
        """True if there is more to read than the last poll returned."""
        return self._events.has_more or self._output.has_more

    @property
    def is_live(self) -> bool:
        """True if a process trains the run."""
        if self.state.has_ended:
            return False
        if self.trains_here or not self.state.host:
            return True
        with suppress(OSError):  # while the file cannot be read, the last known value is kept
            self._was_live = self.run.is_live(self.state.host)
        return self._was_live


POLL_SECONDS = 0.1


class Printer(Protocol):
    """Prints the events of a run."""

    def show(self, event: Event, state: RunState) -> None:
        """Print an event that has been applied to the state."""

    def clear(self) -> None:
        """Clear the progress line, so that another line can be printed."""


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
    while True:
        is_last_poll = ended(state)  # before reading, so that no event is missed
        for event in reader.poll():
            state.apply(event)
            printer.show(event, state)
        if is_last_poll:
            return state
        time.sleep(POLL_SECONDS)
