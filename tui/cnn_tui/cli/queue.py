"""`cnn-tui queue`: runs that wait for a device of this machine."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnn_engine.distributed.place import find_place
from cnn_engine.errors import ConfigError, RunHeldError
from cnn_engine.queue.entries import read_entries
from cnn_engine.runs import queued
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.lookup import LATEST
from cnn_engine.runs.queue_places import queue_place
from cnn_engine.runs.summary import RunSummary, read_summary
from cnn_engine.session.holder_process import start_holder
from cnn_engine.system.end_time import END_TIME
from cnn_tui.cli.commands import Command, Commands, Group
from cnn_tui.cli.completion import complete_run
from cnn_tui.cli.options import RUN_HELP, AsJson, RunsDir, resolve_run
from cnn_tui.text.json import to_json
from cnn_tui.text.queue import waiting_text
from cnn_tui.text.safe import safe_text
from cnn_tui.text.shell import command_for, shell_command

if TYPE_CHECKING:
    from cnn_engine.notifications.targets import Targets
    from cnn_engine.runs.series_plan import SeriesPlan
    from cnn_engine.session.request import Request

END_SECONDS = 10.0
"""Maximum wait for a stopped process to release its run."""

queue = Commands(
    cls=Group,
    help="List the queued runs; change their order, cancel or start them.\n\n"
    "Without a command, list the queued runs.",
)

QueuedRun = Annotated[
    str, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=complete_run)
]


@queue.callback(invoke_without_command=True)
def list_queue(context: typer.Context, as_json: AsJson = False) -> None:
    """List the queued runs of this machine, of all directories of runs."""
    if context.invoked_subcommand is not None:
        return
    start_holder()
    found = sorted(_queued_runs(), key=lambda item: _order(item[1]))
    if as_json:
        rows = [{"path": str(run.path), **summary.as_dict()} for run, summary in found]
        print(to_json(rows))
    elif found:
        from cnn_tui.reports.runs import print_runs

        print_runs([summary for _, summary in found])
    else:
        command = shell_command("run", "--queue")
        print(f"The queue is empty; add a run with: {command}", file=sys.stderr)


def _order(run: RunSummary) -> tuple[bool, int]:
    return run.queue_position == 0, run.queue_position or 0


def _queued_runs() -> Iterator[tuple[RunDirectory, RunSummary]]:
    for entry in read_entries():
        run = RunDirectory(Path(entry.run))
        summary = read_summary(run)
        if summary.status == "queued":
            yield run, summary


@queue.command(cls=Command)
def add(reference: QueuedRun, runs_dir: RunsDir = None) -> None:
    """Queue a stopped, killed or failed run; it is resumed at its turn."""
    run = resolve_run(reference, runs_dir)
    queued.queue_again(run)
    start_holder()
    _print_place(run)


@queue.command(cls=Command)
def up(reference: QueuedRun, runs_dir: RunsDir = None) -> None:
    """Move a queued run before the one that would start before it."""
    run = _resolve(reference, runs_dir)
    queued.move_up(run)
    _print_place(run)


@queue.command(cls=Command)
def cancel(reference: QueuedRun, runs_dir: RunsDir = None) -> None:
    """Remove a run from the queue; resume starts it later."""
    run = _resolve(reference, runs_dir)
    if not cancel_if_queued(run):
        raise ConfigError(f"run {run.id}: is {read_summary(run).status}, not queued")


@queue.command(cls=Command)
def start(reference: QueuedRun, runs_dir: RunsDir = None) -> None:
    """Start a queued run now, also on a device on which other runs train."""
    from cnn_engine.session.queueing import start_now

    run = _resolve(reference, runs_dir)
    start_now(run)
    print(safe_text(run.id))
    print(f"Training in the background. Watch it: {command_for('watch', run)}", file=sys.stderr)


def _resolve(reference: str, runs_dir: Path | None) -> RunDirectory:
    """Return the run that a reference names, first among the queued runs of all directories.

    Raises:
        ConfigError: no run matches, or more than one.
    """
    if runs_dir is None and os.sep not in reference:
        for entry in read_entries():
            run = RunDirectory(Path(entry.run))
            if reference in (run.id, run.id.rpartition("-")[2]):
                return run
    return resolve_run(reference, runs_dir)


def _print_place(run: RunDirectory) -> None:
    place = queue_place(run)
    text = waiting_text(place, run) if place else "is being started"
    print(f"{safe_text(run.id)}: {text[:1].lower()}{text[1:]}")


# For other commands.


def check_queue_options(processes: int | None, *, may_resume: bool) -> None:
    """Refuse options that a queued run cannot have.

    Raises:
        ConfigError: one is given.
    """
    if may_resume:
        raise ConfigError("run: --queue cannot be used with --resume-or-start; see queue add RUN")
    if END_TIME in os.environ:
        raise ConfigError("run: --time-limit counts from now on; use --budget with --queue")
    if find_place() is not None or (processes or 1) > 1:
        raise ConfigError("run: --queue trains in one process; remove --nproc, or torchrun")


def queue_new(request: "Request", runs_dir: Path) -> int:
    """Queue a new run, print its id, and return the exit code.

    Raises:
        ConfigError: its config is invalid.
        DataError: there are no images.
        StorageError: the run or the queue cannot be written.
    """
    from cnn_engine.session.preflight import check_request
    from cnn_engine.session.queueing import queue_run

    check_request(request)
    _print_queued(queue_run(request, runs_dir))
    return 0


def queue_new_series(plan: "SeriesPlan", runs_dir: Path, targets: "Targets") -> int:
    """Queue a new series, print the id of its first run, and return the exit code.

    Raises:
        StorageError: the run or the queue cannot be written.
    """
    from cnn_engine.session.queueing import queue_series

    _print_queued(queue_series(plan, runs_dir, targets))
    return 0


def _print_queued(run: RunDirectory) -> None:
    print(safe_text(run.id))
    place = queue_place(run)
    text = waiting_text(place, run) if place else "Starting"
    print(f"{text}. Watch it: {command_for('watch', run)}", file=sys.stderr)


def queued_run(reference: str, runs_dir: Path | None) -> RunDirectory | None:
    """Return the run that a reference names if it is queued; None for `latest`, and others."""
    if reference == LATEST:
        return None
    run = _resolve(reference, runs_dir)
    return run if read_summary(run).status == "queued" else None


def cancel_if_queued(run: RunDirectory | None) -> bool:
    """Cancel a run and print that; return False if it is not queued, or is being started."""
    if run is None or not queued.is_queued(run):
        return False
    try:
        queued.cancel(run, by="cli")
    except RunHeldError:
        return False
    print(f"{safe_text(run.id)}: cancelled; resume it with: {command_for('resume', run)}")
    return True


def hold_if_queued(run: RunDirectory | None) -> bool:
    """Hold a run in the queue and print that; return False if it is not queued."""
    return _set_held(run, held=True)


def release_if_queued(run: RunDirectory | None) -> bool:
    """Put a run back in line and print that; return False if it is not queued."""
    return _set_held(run, held=False)


def _set_held(run: RunDirectory | None, *, held: bool) -> bool:
    if run is None or not queued.is_queued(run):
        return False
    queued.set_held(run, held=held)
    start_holder()
    _print_place(run)
    return True


def hold_stopped(run: RunDirectory) -> None:
    """Hold a run that was just stopped, once its process has released it, and print that.

    Raises:
        RunHeldError: the process does not release it.
        StorageError: the queue cannot be written.
    """
    deadline = time.monotonic() + END_SECONDS
    while True:
        try:
            queued.queue_again(run, held=True)
        except RunHeldError:
            if time.monotonic() > deadline:
                raise
        else:
            _print_place(run)
            return
