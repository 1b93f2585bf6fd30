"""Queues for tests: entries, holders that are real processes, and devices that are busy."""

import os
import subprocess
import sys
from contextlib import contextmanager, suppress

import psutil

from cnn_engine.queue.devices import take_device
from cnn_engine.queue.files import queue_directory
from cnn_engine.session.queueing import queue_run
from cnn_engine.session.request import Request
from runs_for_tests import SMALL

HOLDER = "cnn_engine.session.holder"


def request(*overrides, name="", epochs=1):
    """Return a request for a tiny run."""
    return Request.from_preset("digits", [*SMALL, f"train.epochs={epochs}", *overrides], name=name)


def queued_run(runs_dir, *overrides, name="", epochs=1):
    """Return a run that waits in the queue."""
    return queue_run(request(*overrides, name=name, epochs=epochs), runs_dir)


@contextmanager
def busy(name="cpu", run=None):
    """Keep a device busy, as a run that trains on it does."""
    lock = take_device(name, run)
    assert lock is not None
    try:
        yield
    finally:
        lock.close()


def holders():
    """Return the processes that hold this test's queue."""
    path = str(queue_directory() / "holder.log")
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if HOLDER in process.cmdline() and path in (file.path for file in process.open_files()):
                found.append(process)
    return found


def run_holder():
    """Start a holder as a child of this process."""
    return subprocess.Popen(
        [sys.executable, "-m", HOLDER], stdin=subprocess.DEVNULL, env=os.environ
    )
