"""Following a run: what is new in its files, and whether anyone still trains it."""

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
"""Taken between two looks at the keyboard, so that a long log opens without freezing."""


class BatchReader(Generic[Item]):
    """What a reader gives, in pieces of bearable length."""

    def __init__(self, poll: Callable[[], Iterator[Item]]) -> None:
        self._poll = poll
        self._items = poll()
        self.has_more = True
        """Whether there was more than was taken last."""

    def next_batch(self) -> list[Item]:
        """Return the next piece of what there is by now.

        Raises:
            OSError: nothing can be read now. Items read before an error are returned first.
        """
        piece: list[Item] = []
        try:
            for item in islice(self._items, BATCH_SIZE):
                piece.append(item)
        except OSError:
            if not piece:
                raise
        finally:
            self.has_more = len(piece) == BATCH_SIZE
            if not self.has_more:
                self._items = self._poll()  # a generator that raised would only end
        return piece


class Follower:
    """A run's state as far as its log has been read."""

    def __init__(self, run: RunDirectory, *, trains_here: bool) -> None:
        self.run = run
        self.state = RunState()
        self.error = ""
        """Why its files cannot be read at the moment; empty while they can."""
        self.trains_here = trains_here
        """Whether this very process trains the run, so that its end would be the run's."""
        self._was_live = True
        self._log = LogReader(run.events)
        self._restarts = 0
        self._events = BatchReader(self._log.poll)
        self._output = BatchReader(LineReader(run.console).poll)

    def poll(self) -> tuple[list[Event], list[bytes]]:
        """New events, which the state then knows of, and new lines of captured output.

        If the log was replaced by another, the state is made anew from that.
        """
        self.error = ""
        events = self._from(self._events)
        if self._restarts != self._log.restarts:
            self._restarts, self.state = self._log.restarts, RunState()
        for event in events:
            self.state.apply(event)
        if self.state.phase == "detached":
            self.trains_here = False
        return events, self._from(self._output)

    def _from(self, feed: BatchReader[Item]) -> list[Item]:
        """What there is; nothing while the file cannot be read, as over a network that is down."""
        try:
            return feed.next_batch()
        except OSError as error:
            self.error = error.strerror or str(error)
            return []

    @property
    def has_more(self) -> bool:
        """Whether more was there than could be taken at once."""
        return self._events.has_more or self._output.has_more

    @property
    def is_live(self) -> bool:
        """Whether a process trains the run."""
        if self.state.has_ended:
            return False
        if self.trains_here or not self.state.host:
            return True
        with suppress(OSError):  # not to be told now, so it is as it was
            self._was_live = self.run.is_live(self.state.host)
        return self._was_live


POLL_SECONDS = 0.1


class Printer(Protocol):
    """Shows events as they come."""

    def show(self, event: Event, state: RunState) -> None:
        """Show an event that has just been applied to the state."""

    def clear(self) -> None:
        """Take away what will be rewritten, so that a line can be printed by somebody else."""


def follow(
    state: RunState, reader: LogReader, printer: Printer, ended: Callable[[RunState], bool]
) -> RunState:
    """Show a run's events until no more can come; its state at the end.

    Args:
        state: The run as far as the reader has read.
        reader: Reads its log.
        printer: Shows the events.
        ended: Whether no more can come.
    """
    while True:
        is_last_look = ended(state)  # asked before reading, so that nothing is missed
        for event in reader.poll():
            state.apply(event)
            printer.show(event, state)
        if is_last_look:
            return state
        time.sleep(POLL_SECONDS)
