"""Starts the process that starts queued runs, which any command of the program may do."""

import fcntl
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

from cnn_engine.queue.entries import Entry, read_entries
from cnn_engine.queue.files import queue_directory
from cnn_engine.storage.locks import open_locked

MODULE = "cnn_engine.session.holder"

LOCK_FILE = "holder.lock"


def start_holder() -> None:
    """Start the process that starts queued runs, if any wait and there is none."""
    with suppress(OSError):
        directory = queue_directory()
        if not any(map(can_start, read_entries())):
            return
        lock = open_locked(directory / LOCK_FILE, fcntl.LOCK_EX)
        if lock is None:
            return
        os.close(lock)  # of several that are started at once, all but one end
        with (directory / "holder.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-m", MODULE],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        # Wait for it in a thread, so that it leaves no zombie when it ends.
        Thread(target=process.wait, name="reaper", daemon=True).start()


def can_start(entry: Entry) -> bool:
    """Return True if an entry waits for its turn, and its directory can be reached."""
    return not entry.held and Path(entry.run).is_dir()
