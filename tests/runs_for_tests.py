"""Small real runs for tests, trained by an engine in this process."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnn_engine.runlog.events import Event
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.commands import Command, Name, send
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_tui.live.follower import Batch, Follower

SMALL = ("data.image_size=8", "model.filters=[8]", "model.hidden=[16]", "train.device=cpu")


class RunForTests:
    """A run of the bundled digits with a small network."""

    def __init__(self, runs_dir: Path, *overrides: str, preset: str = "digits") -> None:
        self.directory: RunDirectory = create_run(runs_dir)
        self.recorder = Recorder(self.directory)
        request = Request.from_preset(preset, [*SMALL, *overrides])
        self.engine = Engine(request, self.recorder)

    def train(self) -> "RunForTests":
        """Train to the end."""
        self.engine.start()
        self.engine.join()
        return self

    def resume(self, epochs: int | None = None) -> "RunForTests":
        """Resume the run and train to the end, like another process."""
        self.prepare_resume(epochs)
        return self.train()

    def prepare_resume(self, epochs: int | None = None) -> None:
        """Create an engine that will resume the run."""
        self.engine = Engine.resume(self.directory, epochs)
        self.recorder = self.engine._recorder

    def send(self, name: Name, value: float | None = None, by: str = "key") -> None:
        """Send a command to the run."""
        send(self.directory.commands, Command(name=name, value=value, by=by))

    @property
    def live_state(self) -> RunState:
        """State of the engine."""
        return self.recorder.state

    def events(self) -> list[Event]:
        """Return the events in the run's log."""
        return list(LogReader(self.directory.events).poll())


def events_of(run: RunDirectory, kind: type[Event]) -> list[Event]:
    """Return the events of a class in a run's log."""
    return [event for event in LogReader(run.events).poll() if isinstance(event, kind)]


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until the condition is true; fail after a timeout."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def poll(follower: Follower) -> Batch:
    """Read what is new of a run, and apply it."""
    batch = follower.read()
    follower.apply(batch)
    return batch


def last_weights(run: RunDirectory) -> dict[str, Any]:
    """Return the weights in a run's `last.pt`, by name, on the CPU."""
    import torch  # noqa: PLC0415 - tests without training need not wait for it

    from cnn_engine.checkpoints import checkpoint  # noqa: PLC0415

    weights: dict[str, Any] = checkpoint.load(run.path / "last.pt", torch.device("cpu"))["model"]
    return weights
