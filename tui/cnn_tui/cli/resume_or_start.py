"""`cnn-tui run --resume-or-start NAME`: one command line for a job that may be requeued."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cnn_engine.distributed.place import find_place
from cnn_engine.errors import ConfigError
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.marks import checked_name
from cnn_engine.runs.summary import read_state
from cnn_engine.texts import listed
from cnn_tui.headless.printer import JsonPrinter, LinePrinter
from cnn_tui.terminal.tty import notify, require_written
from cnn_tui.text.safe import safe_text

if TYPE_CHECKING:
    from cnn_engine.session.request import Request


def only_name(name: str, other: str) -> str:
    """Return the name of the run to resume or start.

    Raises:
        ConfigError: it is empty or too long, or `--name` is given, too.
    """
    if other:
        raise ConfigError(f"--name {other}: the name is that of --resume-or-start, {name}")
    if not (checked := checked_name(name)):
        raise ConfigError("--resume-or-start: the name is empty")
    return checked


@contextmanager
def only_starter(request: "Request", runs_dir: Path, *, as_json: bool) -> Iterator[None]:
    """Keep other processes from starting the run of the request's name within the context.

    Prints the results of a run that is done, and exits, also while another process shows it.

    Raises:
        RunHeldError: another process is starting or training it.
    """
    from cnn_engine.session.named_run import find_named, locked_name

    place = find_place()
    if place is not None and not place.is_first:
        yield
        return
    run = find_named(runs_dir, request.name)
    if run is not None and read_state(run)[0].status == "done":
        find_unfinished(request, runs_dir, as_json=as_json)
    with locked_name(runs_dir, request.name):
        yield


def find_unfinished(
    request: "Request", runs_dir: Path, *, as_json: bool
) -> tuple[RunDirectory, RunState] | None:
    """Return the run of the request's name, which is to be resumed; None to start it.

    Prints the results of a run that is done, and exits; prints which values differ from those of a
    run that is resumed.

    Raises:
        RunHeldError: another process trains it.
        StorageError: its log cannot be read.
    """
    from cnn_engine.session.named_run import differences, find_named, wait_until_silent

    run = find_named(runs_dir, request.name)
    if run is None:
        return None
    state, _ = read_state(run)
    place = find_place()
    is_first = place is None or place.is_first
    if state.status == "done":
        if is_first:
            _print_results(run, state, as_json=as_json)
        sys.exit(0)
    if place is not None and place.restart and state.finished is not None:
        sys.exit(state.finished.exit_code)  # another start would end alike
    if is_first:
        wait_until_silent(run, state)
        if changed := differences(request, state):
            values = safe_text(listed(changed), 2000)
            notify(f"run {run.id}: continues with its own config, not with {values}")
    return run, state


def _print_results(run: RunDirectory, state: RunState, *, as_json: bool) -> None:
    """Print the test of a run that is done, as at its end."""
    printer = JsonPrinter(sys.stdout) if as_json else LinePrinter(sys.stdout, sys.stderr)
    notify(f"run {run.id}: is done; nothing to train")
    for event in (state.test, state.finished):
        if event is not None:
            printer.show(event, state)
    require_written(sys.stdout)
