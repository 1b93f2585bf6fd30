"""`cnn-tui pause`, `unpause`, `stop`, `checkpoint` and `set`: a run controlled from any shell.

Each asks by a line in the run's directory, as the dashboard does, and waits for the engine to say
that it is done.
"""

import sys
import time
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.runlog.events import (
    CheckpointSaved,
    CommandApplied,
    CommandRefused,
    Event,
    RunFinished,
)
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.commands import Command, Name, send
from cnn_tui.cli.options import RunReference, RunsDir, resolve_run
from cnn_tui.text.events import COMMANDS
from cnn_tui.text.parse import parse_epochs, parse_lr
from cnn_tui.text.safe import safe_text
from cnn_tui.text.shell import command_for

WAIT_SECONDS = 10.0
"""How long to wait for the engine, which looks between two steps."""

POLL_SECONDS = 0.05

SETTABLE: dict[str, tuple[Name, Callable[[str], float]]] = {
    "lr": ("lr", parse_lr),
    "epochs": ("epochs", parse_epochs),
}
"""What can be set of a run that goes on."""


class Controlled:
    """A live run that is asked for something, and its log as far as that has been read."""

    def __init__(self, reference: str, runs_dir: Path | None) -> None:
        """Find the run, and read its log.

        Raises:
            ConfigError: there is no such run, or nobody trains it.
        """
        self._run = resolve_run(reference, runs_dir)
        self._log = LogReader(self._run.events)
        self.state = RunState()
        list(self._read())
        self._check_that_it_is_live()

    def ask(self, name: Name, value: float | None = None) -> None:
        """Ask for something, and tell what came of it.

        Raises:
            StorageError: it cannot be asked, or what it was asked to save could not be saved.
            ConfigError: the engine refuses, or the run has ended meanwhile.
        """
        asked = Command(name=name, by="cli", value=value)
        send(self._run.commands, asked)
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            for event in self._read():
                if answer := _answer(event, asked):
                    self.print(answer)
                    return
            self._check_that_it_is_live()
            time.sleep(POLL_SECONDS)
        # No failure: the line stays in the file, and whoever asked again would ask twice.
        text = f"{name} is asked for, and not done yet after {WAIT_SECONDS:.0f} s"
        print(f"{self._run.id}: {text}", file=sys.stderr)

    def print(self, text: str) -> None:
        """Say something of the run."""
        print(f"{self._run.id}: {text}")

    def _read(self) -> Iterator[Event]:
        for event in self._log.poll():
            self.state.apply(event)
            yield event

    def _check_that_it_is_live(self) -> None:
        if self.state.imported:
            raise ConfigError(
                f"{self._run.id} is trained by another program, which cannot be asked"
            )
        if self.state.has_ended:
            status: str = self.state.status
        elif self._run.is_live(self.state.host):
            return
        else:
            status = "interrupted"
        text = f"{self._run.id} is {status}: there is nobody to ask"
        if status != "done":
            text += f"; go on with: {command_for('resume', self._run)}"
        raise ConfigError(text)


def _answer(event: Event, asked: Command) -> str | None:
    """What an event says of what was asked, if anything.

    Raises:
        ConfigError: the engine refused it.
        StorageError: it could not be saved.
    """
    match event:
        case CommandRefused() if event.command == asked.name:
            refusal = StorageError if asked.name == "checkpoint" else ConfigError
            raise refusal(safe_text(event.text, 1000))
        case CheckpointSaved(reason="asked") if asked.name == "checkpoint":
            return f"epoch {event.epoch} saved as {safe_text(event.file)}"
        case RunFinished(status="stopped") if asked.name == "stop":
            return "stopped"
        case CommandApplied() if event.command == asked.name not in ("checkpoint", "stop"):
            value = "" if event.value is None else f" {event.value:g}"
            return f"{COMMANDS[asked.name]}{value}"
        case _:
            return None


def pause(reference: RunReference, runs_dir: RunsDir = None) -> None:
    """Halt a run between two steps; it stays in memory."""
    run = Controlled(reference, runs_dir)
    if run.state.paused:
        run.print("is paused already")
    else:
        run.ask("pause")


def unpause(reference: RunReference, runs_dir: RunsDir = None) -> None:
    """Let a paused run go on."""
    run = Controlled(reference, runs_dir)
    if run.state.paused:
        run.ask("unpause")
    else:
        run.print("is not paused")


def stop(
    reference: RunReference,
    runs_dir: RunsDir = None,
    after_epoch: Annotated[
        bool, typer.Option("--after-epoch", help="Let it finish and validate the epoch in hand.")
    ] = False,
) -> None:
    """End a run with a checkpoint, to be resumed or not."""
    run = Controlled(reference, runs_dir)
    if not after_epoch:
        run.ask("stop")
    elif run.state.stops_after_epoch:
        run.print("stops after this epoch already")
    else:
        run.ask("stop-epoch")


def checkpoint(reference: RunReference, runs_dir: RunsDir = None) -> None:
    """Have a run save a checkpoint now."""
    Controlled(reference, runs_dir).ask("checkpoint")


def set_values(
    reference: RunReference,
    settings: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE...", help="lr=3e-4, epochs=30, or both.")
    ],
    runs_dir: RunsDir = None,
) -> None:
    """Change the learning rate or the number of epochs of a run that goes on."""
    wanted = _checked(settings)
    run = Controlled(reference, runs_dir)
    for name, value in wanted:
        now = run.state.total_epochs if name == "epochs" else run.state.lr
        if value == now:
            run.print(f"{COMMANDS[name]} {value:g} already")
        else:
            run.ask(name, value)


def _checked(settings: list[str]) -> list[tuple[Name, float]]:
    """What to set, in the order given.

    Raises:
        ConfigError: naming every problem.
    """
    wanted, problems = list[tuple[Name, float]](), []
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            problems.append(f"{setting}: write it as KEY=VALUE, such as lr=3e-4")
        elif key not in SETTABLE:
            close = get_close_matches(key, SETTABLE, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(SETTABLE)}"
            problems.append(f"{key}: is no value of a run that goes on; {hint}")
        else:
            name, read = SETTABLE[key]
            try:
                wanted.append((name, read(text)))
            except ValueError as error:
                problems.append(f"{setting}: {error}")
    if problems:
        raise ConfigError(*problems)
    return wanted
