"""Runs of several processes: under torchrun, or followed by the command that has started them."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from cnn_engine.distributed.place import Place
from cnn_engine.errors import StorageError, TrainingError
from cnn_engine.notifications.notifier import notify_lost
from cnn_engine.runlog.events import RunFinished, RunStarted
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.directory import RunDirectory, create_run, first_event, list_runs
from cnn_engine.runs.hints import how_to_resume
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state
from cnn_engine.session.engine import Engine
from cnn_engine.session.member import train_as_member
from cnn_engine.session.request import Request
from cnn_engine.session.spawn import kill_processes
from cnn_tui.headless.printer import JsonPrinter, LinePrinter
from cnn_tui.headless.run import hangup_proof_streams, read_shown, resume_hint, run_headless
from cnn_tui.live.follower import Printer, follow
from cnn_tui.terminal.signals import StopSignals
from cnn_tui.terminal.status import hide_status
from cnn_tui.terminal.tty import notify

NEWEST = 20
"""Runs among which one of this launch is looked for."""


def run_in_launch(request: Request, runs_dir: Path, place: Place, *, as_json: bool) -> int:
    """Train as one of the processes that torchrun has started, and return the exit code.

    The first one records and prints the run. If torchrun has started the processes again, or if the
    newest run of this name of a launch has no end or was stopped by a signal or a time limit, it
    continues that.

    Args:
        request: What is to be trained.
        runs_dir: Directory of runs.
        place: Place of this process.
        as_json: Print events as JSON.

    Raises:
        StorageError: the run cannot be written.
    """
    if not place.is_first:
        return train_as_member(request, place)
    run = _find_launched(runs_dir, place.launch)
    if run is None and place.restart:
        text = f"{runs_dir}: has no run of this launch, which torchrun has started again"
        raise StorageError(f"{text}: all machines must share the directory of runs")
    finished = read_state(run)[0].finished if run is not None else None
    if finished is not None and place.restart:
        return finished.exit_code  # another start would end alike
    if run is None or (finished is not None and not _is_requeued(finished)):
        run = create_run(runs_dir)  # the name of the launch may be that of an earlier night
        return train_in_launch(Engine(request, Recorder(run), place=place), run, as_json=as_json)
    return train_in_launch(Engine.resume(run, allow_code=True, place=place), run, as_json=as_json)


def _is_requeued(finished: RunFinished) -> bool:
    """Return True if a signal or a time limit stopped the run: its job is started again."""
    return finished.status == "stopped" and finished.exit_code > 0


def train_in_launch(engine: Engine, run: RunDirectory, *, as_json: bool) -> int:
    """Train and print as the first process of a launch, and return the exit code."""
    exit_code = run_headless(engine, run, as_json)
    # A run that was stopped is not to be started again.
    return 0 if engine.is_stopped else exit_code


def _find_launched(runs_dir: Path, launch: str) -> RunDirectory | None:
    """Return the run that a launch has started; None if there is none yet."""
    if not runs_dir.is_dir():
        return None
    for run in islice(list_runs(runs_dir), NEWEST):
        started = first_event(run)
        if isinstance(started, RunStarted) and started.launch == launch:
            return run
    return None


def follow_launch(run: RunDirectory, process_id: int, *, as_json: bool, skip_bytes: int = 0) -> int:
    """Print the events of a run until it ends, and return its exit code; signals stop the run.

    Args:
        run: The run.
        process_id: Process id of torchrun.
        as_json: Print events as JSON.
        skip_bytes: Bytes at the start of the log whose events are not printed.

    Raises:
        TrainingError: its processes have ended without a word.
    """
    out, err = hangup_proof_streams(_pass_signals_on(run, process_id))
    printer: Printer = JsonPrinter(out) if as_json else LinePrinter(out, err)
    state, reader = read_shown(run, printer, skip_bytes)
    follow(state, reader, printer, lambda _: not run.is_live(""))
    # The log of a resumed run has an earlier end.
    has_begun = run.events.stat().st_size > skip_bytes
    if state.finished is None or not state.has_ended or not has_begun:
        cause = f"its processes ended without a word, see {run.console}"
        if notice := notify_lost(run, cause, TrainingError.exit_code):
            notify(notice)
        raise TrainingError(f"run {run.id}: {cause}; {how_to_resume(state, run)}")
    if state.phase == "stopped" and state.checkpoints:
        notify(resume_hint(run))
    return state.finished.exit_code


def _pass_signals_on(run: RunDirectory, process_id: int) -> Callable[[], Path]:
    """Let signals stop the run; return a function with the file to print to without a terminal."""

    def stop(number: signal.Signals) -> None:
        try:
            send(run.commands, Command(name="stop", by=number.name))
        except StorageError:  # torchrun passes it on
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGTERM)

    def quit_now(number: signal.Signals) -> None:
        kill_processes(process_id)
        hide_status()
        notify(f"quit immediately. {resume_hint(run)}")
        sys.stderr.flush()
        os._exit(128 + number)

    StopSignals(stop, quit_now)
    signal.signal(signal.SIGHUP, lambda *_: None)
    return lambda: run.console
