"""Small runs of training loops that are not cnn-tui's own, recorded in this process."""

from pathlib import Path
from typing import Any

from cnn_engine.runlog.events import Event
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.commands import Command, Name, send
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.tracking.run import Run
from cnn_engine.tracking.start import Plan, start


class LoopForTests:
    """A run of another loop, of which the test makes the steps."""

    def __init__(self, runs_dir: Path, **plan: Any) -> None:
        """Start a run.

        Args:
            runs_dir: Directory of runs.
            **plan: Fields of `Plan`, such as `epochs`, `name` and `config`.
        """
        self.run: Run = start(Plan(runs_dir=runs_dir, **plan))
        assert self.run.path is not None
        self.directory = RunDirectory(self.run.path)

    def train_epochs(self, epochs: int, steps: int = 10) -> "LoopForTests":
        """Log some epochs of a loop with `epochs` and `steps`; later calls go on from there."""
        run = self.run
        for epoch in run.epochs(epochs):
            for step in run.steps(range(steps)):
                loss = 1 / (1 + epoch + step / steps)
                run.log({"train/loss": loss, "grad/norm": 2 * loss, "lr": 0.1})
            run.log({"val/loss": 1.1 / (1 + epoch), "val/accuracy": 1 - 0.5 / (1 + epoch)})
        return self

    def finish(self) -> RunDirectory:
        """End the run; return its directory."""
        self.run.finish()
        return self.directory

    def flush(self) -> None:
        """Write what has been logged, and obey the commands that were sent, without the thread."""
        recording = self.run._recording
        assert recording is not None
        with recording.lock:
            recording._next_flush = 0.0
            recording._poll()

    def kill(self) -> None:
        """Leave the run as a killed process does, after its last values were written."""
        self.flush()
        recording = self.run._recording
        assert recording is not None
        recording._end.set()
        recording._thread.join()
        self.run.forget()

    def send(self, name: Name, value: float | None = None) -> None:
        """Send a command as the command line does, and let the run read it."""
        send(self.directory.commands, Command(name=name, value=value, by="cli"))
        self.flush()

    def events(self) -> list[Event]:
        """Return the events in the run's log."""
        return list(LogReader(self.directory.events).poll())


def recorded_loop(runs_dir: Path, epochs: int = 3, **plan: Any) -> RunDirectory:
    """Record a finished run of another loop; return its directory."""
    return LoopForTests(runs_dir, epochs=epochs, **plan).train_epochs(epochs).finish()
