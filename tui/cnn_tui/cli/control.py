"""`cnn-tui pause`, `unpause`, `stop`, `checkpoint` and `set`: control a run from any shell.

As in the dashboard, a command is appended to a file in the run's directory. It then waits until
the engine reports that it is done.
"""

import time
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from cnn_engine.errors import ConfigError, NoAnswerError, StorageError
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
from cnn_engine.runs.hints import command_for, command_in, how_to_resume
from cnn_engine.runs.series import is_trained, request_series_stop, runs_of_group
from cnn_engine.runs.summary import LIVE, read_summary
from cnn_tui.cli.groups import GroupReference, find_group
from cnn_tui.cli.options import RUNNING, RunReference, RunsDir, resolve_run
from cnn_tui.cli.queue import (
    cancel_if_queued,
    hold_if_queued,
    hold_stopped,
    queued_run,
    release_if_queued,
)
from cnn_tui.text.events import COMMANDS
from cnn_tui.text.other_loops import checkpoint_time, refusal_text
from cnn_tui.text.parse import parse_epochs, parse_lr
from cnn_tui.text.safe import safe_text

WAIT_SECONDS = 10.0
"""Maximum wait for the engine, which reads commands between two steps."""

POLL_SECONDS = 0.05

SETTABLE: dict[str, tuple[Name, Callable[[str], float]]] = {
    "lr": ("lr", parse_lr),
    "epochs": ("epochs", parse_epochs),
}
"""Values that can be changed while training: the command and the parser of each key."""


class ControlledRun:
    """A running run that receives commands, and its state as far as the log has been read."""

    def __init__(self, reference: str, runs_dir: Path | None) -> None:
        """Find the run and read its log.

        Raises:
            ConfigError: there is no such run, or it is not running.
        """
        self._run = resolve_run(reference, runs_dir, RUNNING)
        self._log = LogReader(self._run.events)
        self.state = RunState()
        list(self._read())
        self._require_running()

    def request(self, name: Name, value: float | None = None) -> None:
        """Send a command and print its result.

        Raises:
            StorageError: the command could not be written, or the checkpoint could not be saved.
            ConfigError: the engine refused it, or the run has ended.
            NoAnswerError: the run has not carried it out in time.
        """
        if reason := refusal_text(self.state, name):
            raise ConfigError(f"{self._run.id}: {reason}")
        command = Command(name=name, by="cli", value=value)
        send(self._run.commands, command)
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            for event in self._read():
                if result := _result(event, command):
                    self.print(result)
                    return
            self._require_running()
            time.sleep(POLL_SECONDS)
        when = "after the current step"
        if name == "checkpoint" and self.state.loop:
            when = checkpoint_time(self.state)
        text = f"{name} requested, no answer after {WAIT_SECONDS:.0f} s; it follows {when}"
        raise NoAnswerError(f"{self._run.id}: {text}")

    def free(self) -> None:
        """Stop the run, and hold it in the queue.

        Raises:
            ConfigError: another program trains it.
            StorageError: the command or the queue could not be written.
            NoAnswerError: the run has not stopped in time.
        """
        if not self.state.is_own:
            raise ConfigError(f"{self._run.id}: another program trains it and cannot resume it")
        self.request("stop")
        if self.state.phase == "stopped":
            hold_stopped(self._run)

    def print(self, text: str) -> None:
        """Print a line about the run."""
        print(f"{self._run.id}: {text}")

    def _read(self) -> Iterator[Event]:
        for event in self._log.poll():
            self.state.apply(event)
            yield event

    def _require_running(self) -> None:
        if self.state.imported:
            raise ConfigError(f"{self._run.id}: {refusal_text(self.state, 'stop')}")
        if self.state.phase == "queued" and not self._run.is_live(self.state.host):
            hint = command_for("queue start", self._run)
            raise ConfigError(f"{self._run.id} is queued: it is not running; start it with: {hint}")
        if self.state.has_ended:
            status: str = self.state.status
        elif self._run.is_live(self.state.host):
            return
        else:
            status = "interrupted"
        text = f"{self._run.id} is {status}: it is not running"
        if status != "done":
            text += f"; {how_to_resume(self.state, self._run)}"
        raise ConfigError(text)


def _result(event: Event, command: Command) -> str | None:
    """Return the text of the event if it is the result of the command, else None.

    Raises:
        ConfigError: the engine refused the command.
        StorageError: the checkpoint could not be saved.
    """
    match event:
        case CommandRefused() if event.command == command.name:
            error = StorageError if command.name == "checkpoint" else ConfigError
            raise error(safe_text(event.text, 1000))
        case CheckpointSaved(reason="asked") if command.name == "checkpoint":
            return f"epoch {event.epoch} saved as {safe_text(event.file)}"
        case RunFinished(status="stopped" | "done") if command.name == "stop":
            return event.status
        case CommandApplied() if event.command == command.name not in ("checkpoint", "stop"):
            value = "" if event.value is None else f" {event.value:g}"
            return f"{COMMANDS[command.name]}{value}"
        case _:
            return None


def pause(
    reference: RunReference,
    runs_dir: RunsDir = None,
    free: Annotated[
        bool,
        typer.Option(
            "--free", help="Save a checkpoint, end the process, and hold the run in the queue."
        ),
    ] = False,
) -> None:
    """Pause a running run, or hold a queued one."""
    if hold_if_queued(queued_run(reference, runs_dir)):
        return
    run = ControlledRun(reference, runs_dir)
    if free:
        run.free()
    elif run.state.paused:
        run.print("already paused")
    else:
        run.request("pause")


def unpause(reference: RunReference, runs_dir: RunsDir = None) -> None:
    """Continue a paused run, or put a held one back in line."""
    if release_if_queued(queued_run(reference, runs_dir)):
        return
    run = ControlledRun(reference, runs_dir)
    if run.state.paused:
        run.request("unpause")
    else:
        run.print("not paused")


def stop(
    reference: RunReference,
    runs_dir: RunsDir = None,
    after_epoch: Annotated[
        bool,
        typer.Option(
            "--after-epoch",
            help="Finish the epoch first; cnn-tui also tests its own runs.",
        ),
    ] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Stop now, and test the best model before the run ends.")
    ] = False,
) -> None:
    """Stop a run; cnn-tui's own runs save a checkpoint first. A queued run is cancelled.

    A series, as group:RUN, stops with its current run: no further run is started.
    """
    name: Name = "stop-epoch" if after_epoch else "stop-test" if test else "stop"
    if (group := find_group(reference, runs_dir)) is not None:
        _stop_series(group, name)
        return
    if cancel_if_queued(queued_run(reference, runs_dir)):
        return
    run = ControlledRun(reference, runs_dir)
    if not after_epoch:
        run.request(name)
    elif run.state.stops_after_epoch:
        run.print("already stopping after this epoch")
    else:
        run.request("stop-epoch")


def _stop_series(group: GroupReference, name: Name) -> None:
    """Stop the run of a series that is trained, and the series.

    Raises:
        ConfigError: no process trains it.
        NoAnswerError: it has not ended in time.
    """
    first = group.first
    if not is_trained(first):
        command = command_in(group.runs_dir, "show", f"group:{group.id}")
        raise ConfigError(f"series {group.id} is not running; see: {command}")
    request_series_stop(first)
    asked = set[str]()
    deadline = time.monotonic() + WAIT_SECONDS
    while is_trained(first):
        for run in runs_of_group(group.runs_dir, group.id):
            if run.id not in asked and read_summary(run).status in LIVE:
                asked.add(run.id)
                send(run.commands, Command(name=name, by="cli"))
        if time.monotonic() > deadline:
            text = "it ends with the current run" if name == "stop" else "it ends later"
            raise NoAnswerError(f"series {group.id}: stop requested; {text}")
        time.sleep(POLL_SECONDS)
    found = group.read()
    print(f"series {group.id}: stopped, {found.done} of {found.planned} runs done")


def checkpoint(reference: RunReference, runs_dir: RunsDir = None) -> None:
    """Save a checkpoint of a running run now."""
    ControlledRun(reference, runs_dir).request("checkpoint")


def set_values(
    reference: RunReference,
    settings: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE", help="lr=3e-4, epochs=30, or both.")
    ],
    runs_dir: RunsDir = None,
) -> None:
    """Change the learning rate or the number of epochs of a running run."""
    parsed = _parse_settings(settings)
    run = ControlledRun(reference, runs_dir)
    for name, value in parsed:
        current = run.state.total_epochs if name == "epochs" else run.state.last_lr
        if value == current:
            run.print(f"{COMMANDS[name]} is already {value:g}")
        else:
            run.request(name, value)


def _parse_settings(settings: list[str]) -> list[tuple[Name, float]]:
    """Return commands and their values, in the order given.

    Raises:
        ConfigError: a setting is invalid; all problems are listed.
    """
    parsed, problems = list[tuple[Name, float]](), []
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            problems.append(f"{setting}: expected KEY=VALUE, such as lr=3e-4")
        elif key not in SETTABLE:
            close = get_close_matches(key, SETTABLE, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"available: {', '.join(SETTABLE)}"
            problems.append(f"{key}: cannot be changed while training; {hint}")
        else:
            name, parse = SETTABLE[key]
            try:
                parsed.append((name, parse(text)))
            except ValueError as error:
                problems.append(f"{setting}: {error}")
    if problems:
        raise ConfigError(*problems)
    return parsed
