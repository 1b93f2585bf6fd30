"""The queue: real holders that start real runs, one after the other."""

import os
import signal

import pytest

from cnn_engine.queue.devices import runs_on
from cnn_engine.queue.entries import read_entries
from cnn_engine.runlog import events
from cnn_engine.runs.queue_places import queue_place
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.session import holder_process
from queues import busy, holders, queued_run
from runs_for_tests import events_of, wait_until
from terminal import environment


@pytest.fixture(autouse=True)
def child_import_path(monkeypatch):
    """Let processes that the engine starts import what the tests import."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])


@pytest.fixture
def no_holder(monkeypatch):
    """Start no holder by itself."""
    monkeypatch.setattr(holder_process, "MODULE", "cnn_engine.errors")


def status(run):
    return read_summary(run).status


def positions(*runs):
    return [place.position if (place := queue_place(run)) else None for run in runs]


def test_runs_train_one_after_the_other_in_their_order(tmp_path):
    with busy():
        runs = [queued_run(tmp_path, name=name) for name in ("a", "b")]
        assert positions(*runs) == [1, 2]
        assert [status(run) for run in runs] == ["queued", "queued"]
        wait_until(lambda: len(holders()) == 1)
    wait_until(lambda: [status(run) for run in runs] == ["done", "done"])
    first, second = (read_state(run)[0] for run in runs)
    assert second.resumed.time > first.finished.time
    assert first.queued.device == "cpu"
    assert read_entries() == []
    wait_until(lambda: not holders())


def test_killed_holder_is_replaced_by_the_run_that_ends(tmp_path):
    with busy():
        first, second = queued_run(tmp_path, epochs=3), queued_run(tmp_path)
        wait_until(holders)
    wait_until(lambda: status(first) not in {"queued", "starting"})
    for process in holders():
        process.kill()
    wait_until(lambda: status(second) == "done")
    assert status(first) == "done"


def test_killed_run_leaves_its_place_to_the_next_one(tmp_path):
    with busy():
        first, second = queued_run(tmp_path, epochs=100_000), queued_run(tmp_path)
    wait_until(lambda: runs_on("cpu") == [first.path] and status(first) != "queued")
    resumed = wait_for_event(first, events.RunResumed)
    os.kill(resumed.pid, signal.SIGKILL)
    wait_until(lambda: status(second) == "done")
    assert status(first) == "interrupted"


def wait_for_event(run, kind):
    wait_until(lambda: events_of(run, kind))
    return events_of(run, kind)[-1]
