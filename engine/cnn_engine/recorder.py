"""Where the engine's events go: the log, and the state made from it."""

from typing import Self

from cnn_engine.events import EpochFinished, Event, RunFinished, RunPrepared
from cnn_engine.runlog import LogWriter
from cnn_engine.runs import RunDirectory
from cnn_engine.state import RunState
from cnn_engine.summary import store_summary


class Recorder:
    """Records a run's events, and keeps its state and its cached summary up to date."""

    def __init__(self, run: RunDirectory) -> None:
        """Take hold of the run.

        Raises:
            StorageError: its log cannot be written, or another process holds it.
        """
        self.run = run
        self.state = RunState()
        self._log = LogWriter(run.events)

    def record(self, event: Event) -> None:
        """Append the event to the log and apply it to the state."""
        self._log.append(event)
        self.state.apply(event)
        if isinstance(event, RunPrepared | EpochFinished | RunFinished):
            store_summary(self.state, self.run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()
