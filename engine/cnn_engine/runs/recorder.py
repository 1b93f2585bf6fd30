"""Where the engine's events go: the log, and the state made from it."""

import time
from typing import NamedTuple, Self

from cnn_engine.errors import RunHeldError
from cnn_engine.runlog.events import EpochFinished, Event, Notice, RunFinished, RunPrepared
from cnn_engine.runlog.log import LogWriter
from cnn_engine.runs.commands import CommandReader
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state, store_summary
from cnn_engine.session.spawn import spawn
from cnn_engine.storage.atomic import remove_temporary_files


class Inheritance(NamedTuple):
    """What the process that held a run before has left to this one."""

    log: int
    """Descriptor of the run's log, by which this process holds it."""

    commands_read: int
    """Bytes of the commands file that it has read; what comes after is still to be done."""


class Recorder:
    """Records a run's events, and keeps its state and its cached summary up to date."""

    def __init__(self, run: RunDirectory, inheritance: Inheritance | None = None) -> None:
        """Take hold of the run, new or old, and know what its log tells.

        Args:
            run: The run.
            inheritance: Where another process has handed the run over.

        Raises:
            RunHeldError: another process holds it.
            StorageError: its log cannot be written.
        """
        self.run = run
        try:
            self._log = LogWriter(run.events, inheritance.log if inheritance else None)
        except RunHeldError:
            raise RunHeldError(_held_text(run)) from None
        remove_temporary_files(run.path)
        for_others = run.commands.stat().st_size if run.commands.exists() else 0
        self.commands = CommandReader(
            run.commands, inheritance.commands_read if inheritance else for_others
        )
        """What is asked of this session, and of none before."""
        self.state, damaged_lines = read_state(run)
        self._damaged_lines = damaged_lines + self._log.was_torn
        self._blocked_since: float | None = None

    @property
    def write_error(self) -> str:
        """Why the log cannot be written now, as on a full disk; empty when it can."""
        return self._log.write_error

    def record(self, event: Event) -> None:
        """Append the event to the log and apply it to the state."""
        self._add(event)
        if self.write_error:
            self._blocked_since = self._blocked_since or time.monotonic()
        elif self._blocked_since is not None:
            seconds, self._blocked_since = time.monotonic() - self._blocked_since, None
            text = f"The log could not be written for {seconds:.0f} s; nothing of it is lost"
            self._add(Notice(text=text))
        if isinstance(event, RunPrepared | EpochFinished | RunFinished) and not self.write_error:
            store_summary(self.state, self.run, self._damaged_lines)

    def _add(self, event: Event) -> None:
        self._log.append(event)
        self.state.apply(event)

    def sync(self) -> None:
        """Bring the log to disk, as far as it can be written.

        Raises:
            OSError: the disk refuses.
        """
        self._log.sync()

    def hand_over(self) -> None:
        """Start a process in the background that goes on with the run.

        It inherits the log, so that at no moment nobody holds the run, and does what is asked from
        now on. Nothing more is to be recorded here.

        Raises:
            StorageError: some events cannot be written, or no process be started.
        """
        self._log.flush()
        spawn(self.run, self._log.descriptor, self.commands.bytes_read)

    def close(self) -> None:
        """Let go of the run.

        Raises:
            StorageError: some events never could be written.
        """
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _held_text(run: RunDirectory) -> str:
    """Who has the run, and how to see it all the same."""
    state, _ = read_state(run)
    session = state.resumed or state.started
    who = f"process {session.pid} on {session.host}" if session else "another process"
    return f"run {run.id}: {who} trains it; to see it: cnn-tui watch {run.id}"
