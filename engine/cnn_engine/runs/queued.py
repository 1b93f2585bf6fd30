"""Puts runs into the queue, and changes their places in it."""

import socket
from dataclasses import replace

from cnn_engine.errors import ConfigError
from cnn_engine.queue.devices import device_kind
from cnn_engine.queue.entries import (
    changed_entries,
    find,
    new_entry,
    read_entries,
    remove_entry,
)
from cnn_engine.runlog.events import CommandApplied, RunFinished, RunQueued
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.hints import command_for
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state


def is_queued(run: RunDirectory) -> bool:
    """Return True if a run has a place in the queue of this machine."""
    return find(read_entries(), run.path) is not None


def run_queued(state: RunState) -> RunQueued:
    """Return the event of a run that waits in the queue of this machine from now on."""
    configured = str(state.setting("train.device") or "auto")
    return RunQueued(host=socket.gethostname(), device=device_kind(configured))


def add_to_queue(
    run: RunDirectory, event: RunQueued, *, held: bool = False, is_series: bool = False
) -> None:
    """Add a run, whose log has the event, at the end of the queue.

    Args:
        run: The run.
        event: Its `RunQueued`.
        held: True if it is not started before `set_held` puts it back in line.
        is_series: True if all runs of the series, of which it is the first, are trained.

    Raises:
        StorageError: the queue cannot be written.
    """
    kind = device_kind(event.device)
    entry = new_entry(run.path, kind, held=held, is_series=is_series)
    with changed_entries() as entries:
        if find(entries, run.path) is None:
            entries.append(entry)


def queue_again(run: RunDirectory, *, held: bool = False) -> None:
    """Put a run that was stopped, killed or failed into the queue; it is resumed at its turn.

    Args:
        run: The run.
        held: True if it is not started before `set_held` puts it back in line.

    Raises:
        ConfigError: it is done, or another program trains it.
        RunHeldError: it is running.
        StorageError: its log or the queue cannot be written.
    """
    with changed_entries():
        pass  # fails before the log says that the run is queued
    with Recorder(run) as recorder:
        state = recorder.state
        if not state.is_own or state.phase == "done" or state.started is None:
            raise ConfigError(f"run {run.id}: is {state.status}; only an unfinished run can wait")
        event = run_queued(state)
        if state.phase != "queued":
            recorder.record(event)
    add_to_queue(run, event, held=held)


def cancel(run: RunDirectory, by: str) -> None:
    """Remove a run from the queue; its status is then `stopped`.

    Args:
        run: A queued run.
        by: Sender of the command, for the log.

    Raises:
        RunHeldError: it is being started.
        StorageError: its log or the queue cannot be written.
    """
    with Recorder(run) as recorder:
        remove_entry(run.path)
        if recorder.state.phase == "queued":
            seconds = recorder.state.elapsed_seconds
            recorder.record(CommandApplied(command="stop", by=by))
            recorder.record(RunFinished(status="stopped", exit_code=0, seconds=seconds))


def set_held(run: RunDirectory, *, held: bool) -> None:
    """Hold a queued run, or put it back in line, behind all others.

    Raises:
        ConfigError: it is not in the queue.
        StorageError: the queue cannot be written.
    """
    with changed_entries() as entries:
        entry = find(entries, run.path)
        if entry is None:
            raise ConfigError(_missing(run))
        if entry.held == held:
            return
        if held:
            entries[entries.index(entry)] = replace(entry, held=True)
        else:
            entries.remove(entry)
            entries.append(replace(entry, held=False))


def move_up(run: RunDirectory) -> bool:
    """Swap a queued run with the one before it that waits for the same kind of device.

    Returns:
        False if it is the first of them.

    Raises:
        ConfigError: it is not in the queue, or held.
        StorageError: the queue cannot be written.
    """
    with changed_entries() as entries:
        entry = find(entries, run.path)
        if entry is None:
            raise ConfigError(_missing(run))
        if entry.held:
            hint = command_for("unpause", run)
            raise ConfigError(f"run {run.id}: is held; put it back in line with: {hint}")
        index = entries.index(entry)
        same = [
            place
            for place, other in enumerate(entries[:index])
            if other.device == entry.device and not other.held
        ]
        if not same:
            return False
        entries[index], entries[same[-1]] = entries[same[-1]], entry
        return True


def _missing(run: RunDirectory) -> str:
    try:
        status = read_state(run)[0].status
    except OSError:
        status = "stopped"
    advice = "" if status == "done" else f"; put it there with: {command_for('queue add', run)}"
    return f"run {run.id}: is not in the queue of this machine{advice}"
