"""Finds the run that a job started or continues by its name, so that one command line does both."""

import fcntl
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cnn_engine.config.dotted_keys import dotted_keys
from cnn_engine.config.renamed_keys import logged_config
from cnn_engine.errors import RunHeldError
from cnn_engine.runlog.events import RunStarted
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory, first_event, list_runs
from cnn_engine.runs.lookup import run_name
from cnn_engine.runs.recorder import held_text
from cnn_engine.runs.summary import read_summary
from cnn_engine.session.request import Request
from cnn_engine.storage.locks import open_locked

NAMES_DIRECTORY = ".names"
"""Directory in that of the runs, with a lock for each name that is being started."""

LOCK_SECONDS = 1.0
"""Time to wait for a process that is just ending."""

LOOK_SECONDS = 0.5
"""Interval at which the log of a run on another machine is looked at."""


def find_named(runs_dir: Path, name: str) -> RunDirectory | None:
    """Return the newest of cnn-tui's own runs of a name; None if there is none.

    Args:
        runs_dir: Directory of the runs; it may not exist yet.
        name: Name with which the run was started, or that the user has given it since.
    """
    for run in list_runs(runs_dir):
        started = first_event(run)
        names = {run_name(run), started.name if isinstance(started, RunStarted) else ""}
        if name in names and read_summary(run).is_own:
            return run
    return None


@contextmanager
def locked_name(runs_dir: Path, name: str) -> Iterator[None]:
    """Lock a name within the context, so that two processes do not start the same run.

    A directory in which no lock can be made is reported once the run is created.

    Raises:
        RunHeldError: another process has locked it.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    path = runs_dir / NAMES_DIRECTORY / f"{digest}.lock"
    with ExitStack() as held:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = open_locked(path, fcntl.LOCK_EX, LOCK_SECONDS)
            if descriptor is None:
                raise RunHeldError(f"run {name!r}: another process is starting or training it")
            held.callback(os.close, descriptor)
        yield


def wait_until_silent(run: RunDirectory, state: RunState) -> None:
    """Return once no process on another machine can be writing a run that has not ended.

    Locks may not reach other machines. A killed process is silent: then this takes as long as its
    log has to be silent until the run counts as interrupted.

    Raises:
        RunHeldError: the log grows.
        OSError: the log cannot be read.
    """
    if state.has_ended or state.host in ("", socket.gethostname()):
        return
    size = run.events.stat().st_size
    while run.is_live(state.host):
        if run.events.stat().st_size != size:
            raise RunHeldError(held_text(run))
        time.sleep(LOOK_SECONDS)


def differences(request: Request, state: RunState) -> list[str]:
    """Return the keys in which a request differs from a run: `optimizer.lr=0.1 (run: 0.05)`.

    Values that the run was started with are no differences, although they may be replaced since.
    """
    started = dotted_keys(logged_config(state.started.config)) if state.started else {}
    current = dotted_keys(state.config)
    return [
        f"{key}={value} (run: {current[key]})"
        for key, value in dotted_keys(request.config.model_dump(mode="json")).items()
        if key in current and value not in (current[key], started.get(key))
    ]
