"""Where the engine's events go: the log, and the state made from it."""

import time
from typing import Self

from cnn_engine.errors import RunHeldError
from cnn_engine.events import EpochFinished, Event, Notice, RunFinished, RunPrepared
from cnn_engine.files import sweep
from cnn_engine.runlog import LogWriter
from cnn_engine.runs import RunDirectory
from cnn_engine.spawn import spawn
from cnn_engine.summary import read_state, store_summary


class Recorder:
    """Records a run's events, and keeps its state and its cached summary up to date."""

    def __init__(self, run: RunDirectory, descriptor: int | None = None) -> None:
        """Take hold of the run, new or old, and know what its log tells.

        Args:
            run: The run.
            descriptor: Of its log, where another process has handed that over.

        Raises:
            RunHeldError: another process holds it.
            StorageError: its log cannot be written.
        """
        self.run = run
        try:
            self._log = LogWriter(run.events, descriptor)
        except RunHeldError:
            raise RunHeldError(_held_text(run)) from None
        sweep(run.path)
        self.commands_before = run.commands.stat().st_size if run.commands.exists() else 0
        """Bytes of commands that were there already, which were for an earlier session."""
        self.state, damaged_lines = read_state(run)
        self._damaged_lines = damaged_lines + self._log.was_torn
        self._blocked_since: float | None = None

    @property
    def blocked(self) -> str:
        """Why the log cannot be written now, as on a full disk; empty when it can."""
        return self._log.refusal

    def record(self, event: Event) -> None:
        """Append the event to the log and apply it to the state."""
        self._add(event)
        if self.blocked:
            self._blocked_since = self._blocked_since or time.monotonic()
        elif self._blocked_since is not None:
            seconds, self._blocked_since = time.monotonic() - self._blocked_since, None
            text = f"The log could not be written for {seconds:.0f} s; nothing of it is lost"
            self._add(Notice(text=text))
        if isinstance(event, RunPrepared | EpochFinished | RunFinished) and not self.blocked:
            store_summary(self.state, self.run, self._damaged_lines)

    def _add(self, event: Event) -> None:
        self._log.append(event)
        self.state.apply(event)

    def hand_over(self) -> None:
        """Start a process in the background that goes on with the run.

        It inherits the log, so that at no moment nobody holds the run. Nothing more is to be
        recorded here.

        Raises:
            StorageError: some events cannot be written, or no process be started.
        """
        self._log.flush()
        spawn(self.run, self._log.descriptor)

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
