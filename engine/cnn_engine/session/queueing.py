"""Queues new runs, and starts queued ones at once."""

import shutil
from collections.abc import Callable
from pathlib import Path

from cnn_engine.errors import ConfigError, RunHeldError
from cnn_engine.notifications.targets import Targets
from cnn_engine.queue.entries import changed_entries, find, read_entries
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.hints import command_for
from cnn_engine.runs.queued import add_to_queue, run_queued
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.series_plan import SeriesPlan, write_plan
from cnn_engine.session import holder
from cnn_engine.session.engine import begin_run
from cnn_engine.session.holder_process import start_holder
from cnn_engine.session.request import Request
from cnn_engine.session.series import request_of


def queue_run(request: Request, runs_dir: Path) -> RunDirectory:
    """Create a run that waits for its turn in the queue of this machine.

    Args:
        request: What is to be trained.
        runs_dir: Directory of the runs.

    Raises:
        StorageError: the run or the queue cannot be written; then there is no run.
    """
    return _queue(lambda _: request, runs_dir, is_series=False)


def queue_series(plan: SeriesPlan, runs_dir: Path, targets: Targets) -> RunDirectory:
    """Create the first run of a series, all of whose runs are trained at its turn.

    Args:
        plan: The series.
        runs_dir: Directory of the runs.
        targets: Receivers of messages.

    Raises:
        StorageError: the run or the queue cannot be written; then there is no run.
    """

    def first_request(first: RunDirectory) -> Request:
        write_plan(first, plan)
        return request_of(plan, 1, first, targets, allow_code=True)

    return _queue(first_request, runs_dir, is_series=True)


def _queue(
    make_request: Callable[[RunDirectory], Request], runs_dir: Path, *, is_series: bool
) -> RunDirectory:
    with changed_entries():
        pass  # fails before there is a run
    run = create_run(runs_dir)
    try:
        with Recorder(run) as recorder:
            begin_run(make_request(run), recorder)
            event = run_queued(recorder.state)
            recorder.record(event)
        add_to_queue(run, event, is_series=is_series)
    except BaseException:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    start_holder()
    return run


def start_now(run: RunDirectory) -> None:
    """Start a queued run in the background, also on a device on which other runs train.

    Raises:
        ConfigError: it is not in the queue of this machine.
        RunHeldError: it is running already.
        StorageError: it cannot be started.
    """
    entry = find(read_entries(), run.path)
    if entry is None:
        raise ConfigError(
            f"run {run.id}: is not in the queue of this machine; "
            f"to go on with it: {command_for('resume', run)}"
        )
    if not holder.start(entry, run):
        raise RunHeldError(f"run {run.id}: could not be started; see {command_for('show', run)}")
