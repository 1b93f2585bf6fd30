"""Recording on a full disk."""

import errno
import fcntl
import json
import math
import os
import resource
import subprocess
from dataclasses import replace

import pytest

from cnn_engine.errors import StorageError
from cnn_engine.runlog import events
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state
from cnn_engine.training import learner
from grammar import SESSIONS, event_letters
from runs_for_tests import RunForTests
from terminal import CLI, SET_SMALL, environment


class Disk:
    """A disk that refuses writes while it is full."""

    def __init__(self, patches):
        self.is_full = False
        self.refuses_logs_only = False
        self._write = os.write
        patches.setattr(os, "write", self.write)

    def write(self, descriptor, content):
        is_log = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
        if self.is_full and (is_log or not self.refuses_logs_only):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(descriptor, content)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def test_full_disk_is_reported_until_log_is_written(tmp_path, disk):
    run = create_run(tmp_path)
    with Recorder(run) as recorder:
        recorder.record(events.EpochStarted(epoch=1))
        assert recorder.write_error == ""
        disk.is_full = True
        recorder.record(events.EpochStarted(epoch=2))
        assert recorder.write_error == "No space left on device"
        assert recorder.state.epoch == 2
        disk.is_full = False
        recorder.record(events.EpochStarted(epoch=3))
        assert recorder.write_error == ""
    read, damaged = read_state(run)
    assert (damaged, read) == (0, recorder.state)
    (notice,) = read.notices
    assert notice.text == "The log could not be written for 0 s; no events were lost"


def test_run_continues_on_full_disk_with_complete_log(tmp_path, disk):
    run = RunForTests(tmp_path, "train.epochs=3")
    real = run.recorder.record

    def record(event):
        if isinstance(event, events.EpochFinished):
            disk.is_full = event.epoch == 1
        real(event)

    run.recorder.record = record
    run.train()
    state, damaged = read_state(run.directory)
    assert (damaged, state) == (0, run.live_state)
    assert (state.status, len(state.epochs)) == ("done", 3)
    texts = [notice.text for notice in state.notices]
    assert "last.pt could not be saved: No space left on device; there is none yet" in texts
    assert [saved.epoch for saved in state.checkpoints if saved.reason == "last"] == [2, 3]
    assert sum("log could not be written" in text for text in texts) == 1
    assert SESSIONS.fullmatch(event_letters(run.events()))


def test_cached_summary_is_never_ahead_of_log(tmp_path, disk):
    run = RunForTests(tmp_path, "train.epochs=2").train()
    cached = json.loads(run.directory.summary.read_text())
    run.prepare_resume(epochs=3)
    disk.is_full = disk.refuses_logs_only = True
    run.engine.start()
    with pytest.raises(StorageError):
        run.engine.join()
    assert json.loads(run.directory.summary.read_text()) == cached


def test_unwritten_events_end_in_storage_error(tmp_path, disk):
    run = RunForTests(tmp_path, "train.epochs=1")
    disk.is_full = True
    run.engine.start()
    with pytest.raises(StorageError, match=r"the last \d+ events could not be written: No space"):
        run.engine.join()
    assert run.engine.exit_code == 5
    assert list(LogReader(run.directory.events).poll()) == []


def test_full_disk_is_one_line_and_exit_code_5(tmp_path):
    limit = 3000
    result = subprocess.run(
        [*CLI, "run", "digits", "--epochs", "2", *SET_SMALL],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert result.returncode == 5
    assert "Traceback" not in result.stderr
    last_line = result.stderr.splitlines()[-1]
    assert last_line.startswith("cnn-tui: runs/")
    assert last_line.endswith("events could not be written: File too large")


def test_next_best_is_saved_after_failed_save(tmp_path, disk, monkeypatch):
    losses = iter([0.9, 0.5, 0.7, 0.1])
    real = learner.evaluate
    monkeypatch.setattr(
        learner, "evaluate", lambda *arguments: replace(real(*arguments), loss=next(losses))
    )
    run = RunForTests(tmp_path, "train.epochs=3")
    record = run.recorder.record

    def record_and_fill_disk(event):
        if isinstance(event, events.EpochFinished):
            disk.is_full = event.epoch == 2
        record(event)

    run.recorder.record = record_and_fill_disk
    run.train()
    saved = [event for event in run.live_state.checkpoints if event.reason == "best"]
    assert [(event.epoch, event.old_loss) for event in saved] == [(1, math.inf), (3, 0.9)]
    assert run.live_state.test.epoch == 3
