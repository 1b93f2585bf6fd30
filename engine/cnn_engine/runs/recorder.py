"""Records the engine's events in the log and in the state made from it."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Self

from cnn_engine.errors import RunHeldError, StorageError
from cnn_engine.runlog.events import EpochFinished, Event, Notice, RunFinished, RunPrepared
from cnn_engine.runlog.log import GONE, LogWriter
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.commands import CommandReader
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.runs.summary import read_state, store_summary
from cnn_engine.storage.atomic import remove_temporary_files

CHECK_SECONDS = 1.0
"""Interval at which the run's directory is looked for."""


class HandedOver(NamedTuple):
    """A run taken over from another process."""

    log: int
    """Inherited file descriptor of the run's log, which holds the lock."""

    commands_read: int
    """Bytes of the commands file that the other process has read."""


class Recorder:
    """Records a run's events and keeps its state and cached summary up to date."""

    def __init__(
        self,
        run: RunDirectory,
        handed_over: HandedOver | None = None,
        commands_read: int | None = None,
    ) -> None:
        """Lock a new or existing run and read its log.

        Args:
            run: The run.
            handed_over: Set if another process has handed the run over.
            commands_read: Bytes of the commands file that belong to earlier sessions; all of it by
                default.

        Raises:
            RunHeldError: another process is writing the run.
            StorageError: the log cannot be written.
        """
        self.run = run
        try:
            self._log = LogWriter(run.events, handed_over.log if handed_over else None)
        except RunHeldError:
            raise RunHeldError(held_text(run)) from None
        remove_temporary_files(run.path)
        if handed_over is not None:
            commands_read = handed_over.commands_read
        elif commands_read is None:
            commands_read = commands_size(run)
        self.commands = CommandReader(run.commands, commands_read)
        """Commands for this session; those of earlier sessions are skipped."""
        self.state, damaged_lines = read_state(run)
        self._damaged_lines = damaged_lines + self._log.was_torn
        self._blocked_since: float | None = None
        self._is_gone, self._check_at = False, 0.0
        self.observer: Callable[[Event, RunState], None] | None = None
        """Called after each event; must return at once."""

    @property
    def write_error(self) -> str:
        """Reason why the log cannot be written, such as a full disk; empty if it can."""
        return GONE if self._is_gone else self._log.write_error

    @property
    def unwritten_bytes(self) -> int:
        """Size of the events that could not be written so far."""
        return self._log.unwritten_bytes

    def record(self, event: Event) -> None:
        """Append the event to the log and apply it to the state."""
        self._add(event)
        if (now := time.monotonic()) >= self._check_at:
            self._is_gone, self._check_at = not self._log.is_in_place(), now + CHECK_SECONDS
        if self.write_error:
            self._blocked_since = self._blocked_since or time.monotonic()
        elif self._blocked_since is not None:
            seconds, self._blocked_since = time.monotonic() - self._blocked_since, None
            text = f"The log could not be written for {seconds:.0f} s; no events were lost"
            self._add(Notice(text=text))
        if isinstance(event, RunPrepared | EpochFinished | RunFinished) and not self.write_error:
            store_summary(self.state, self.run, self._damaged_lines)
        if self.observer is not None:
            self.observer(event, self.state)

    def _add(self, event: Event) -> None:
        self._log.append(event)
        self.state.apply(event)

    def check_in_place(self) -> None:
        """Check that the run's directory is still that of this run, before a file is written there.

        Raises:
            StorageError: it was moved, removed or replaced.
        """
        if not self._log.is_in_place():
            raise StorageError(f"{self.run.path}: {GONE}")

    def sync(self) -> None:
        """Flush the log to disk, except for events that could not be written yet.

        Raises:
            OSError: the disk reports an error.
        """
        self._log.sync()

    def release(self) -> HandedOver:
        """Return what another process needs to continue the run. Record nothing afterwards.

        It must inherit the log's descriptor before this recorder is closed: the run stays locked.

        Raises:
            StorageError: events cannot be written.
        """
        self._log.flush()
        return HandedOver(self._log.descriptor, self.commands.bytes_read)

    def abandon(self) -> None:
        """Close the log in a forked process, without a word; its parent keeps it locked."""
        with suppress(OSError):
            os.close(self._log.descriptor)

    def close(self) -> None:
        """Release the run.

        Raises:
            StorageError: events could not be written.
        """
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def commands_size(run: RunDirectory) -> int:
    """Return the size of a run's commands file in bytes."""
    return run.commands.stat().st_size if run.commands.exists() else 0


def held_text(run: RunDirectory) -> str:
    """Return the message that names the process training the run."""
    state, _ = read_state(run)
    session = state.resumed or state.started
    process = f"process {session.pid} on {session.host}" if session else "another process"
    return f"run {run.id}: {process} is training it; to watch it: {command_for('watch', run)}"
