"""The queue: real holders that start real runs, one after the other."""

import errno
import os
import shutil
import signal
from dataclasses import replace

import pytest
from PIL import Image

from cnn_engine.errors import ConfigError, RunHeldError, StorageError
from cnn_engine.notifications.targets import NO_TARGETS
from cnn_engine.queue import entries as queue_entries
from cnn_engine.queue.devices import device_name, device_names, hold_device, runs_on, take_device
from cnn_engine.queue.entries import changed_entries, read_entries
from cnn_engine.queue.files import queue_directory
from cnn_engine.runlog import events
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.directory import RunDirectory, create_run, iter_runs
from cnn_engine.runs.queue_places import queue_place
from cnn_engine.runs.queued import cancel, move_up, queue_again, set_held
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.series import runs_of_group
from cnn_engine.runs.series_plan import PlannedRun, SeriesPlan
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.runs.trash import delete, restore
from cnn_engine.session import background, holder, holder_process
from cnn_engine.session.queueing import queue_series, start_now
from cnn_tui.headless.run import watch_headless
from grammar import SESSIONS, event_letters
from queues import busy, holders, queued_run, request, run_holder
from runs_for_tests import RunForTests, events_of, wait_until
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


def letters(run):
    return event_letters(LogReader(run.events).poll())


def wait_for_event(run, kind):
    wait_until(lambda: events_of(run, kind))
    return events_of(run, kind)[-1]


def test_runs_train_one_after_the_other_and_a_killed_holder_is_replaced(tmp_path):
    with busy():
        first, second = (queued_run(tmp_path, name=name) for name in ("a", "b"))
        assert positions(first, second) == [1, 2]
        assert [status(run) for run in (first, second)] == ["queued", "queued"]
        wait_until(lambda: len(holders()) == 1)
    wait_until(lambda: status(first) not in {"queued", "starting"})
    assert runs_on("cpu") == [first.path]
    for process in holders():
        process.kill()
    assert watch_headless(second) == 0  # waits for it
    assert [status(run) for run in (first, second)] == ["done", "done"]
    states = [read_state(run)[0] for run in (first, second)]
    assert states[1].resumed.time > states[0].finished.time
    assert all(SESSIONS.fullmatch(letters(run)) for run in (first, second))
    assert letters(first).startswith("Rqr")
    assert read_entries() == []
    wait_until(lambda: not holders())


@pytest.mark.usefixtures("no_holder")
def test_queue_goes_on_after_runs_that_cannot_train(tmp_path):
    images, runs_dir = tmp_path / "images", tmp_path / "runs"
    write_images(images)
    folder = ("data.source=folder", f"data.path={images}")
    no_images, moved, no_python = (queued_run(runs_dir, *more) for more in (folder, (), ()))
    killed, last = queued_run(runs_dir, epochs=100_000), queued_run(runs_dir)
    shutil.rmtree(images)
    moved.path.rename(tmp_path / "moved")
    with changed_entries() as entries:
        entries[2] = replace(entries[2], python=str(tmp_path / "python"))
    assert status(RunDirectory(tmp_path / "moved")) == "interrupted"
    process = run_holder()
    resumed = wait_for_event(killed, events.RunResumed)
    assert run_holder().wait() == 0  # there is one already
    os.kill(resumed.pid, signal.SIGKILL)
    assert process.wait() == 0
    wait_until(lambda: status(last) == "done")
    assert (status(no_images), status(no_python), status(killed)) == (
        "failed",
        "failed",
        "interrupted",
    )
    assert f"{images}: is not a folder" in read_summary(no_images).error
    assert "which queued the run, does not exist now" in read_summary(no_python).error
    assert read_entries() == []


@pytest.mark.usefixtures("no_holder")
def test_series_is_trained_by_one_process(tmp_path):
    config = request().config.model_dump(mode="json")
    planned = tuple(
        PlannedRun(setting="", seed=number, fold=None, name="a", preset="digits", config=config)
        for number in (1, 2)
    )
    first = queue_series(SeriesPlan(runs=planned), tmp_path, NO_TARGETS)
    holder.start_free()
    assert read_entries() == []
    wait_until(lambda: [status(run) for run in runs_of_group(tmp_path, first.id)] == ["done"] * 2)
    started = [
        read_state(run)[0].resumed or read_state(run)[0].started for run in iter_runs(tmp_path)
    ]
    assert len({event.pid for event in started}) == 1


@pytest.mark.usefixtures("no_holder")
def test_run_that_was_started_already_only_loses_its_entry(tmp_path):
    run = queued_run(tmp_path)
    entry = read_entries()[0]
    cancel(run, by="key")  # its log says that it is not queued
    assert letters(run) == "Rq."
    with changed_entries() as entries:
        entries.append(entry)
    holder.start_free()
    assert (status(run), read_entries()) == ("stopped", [])
    queue_again(run)
    assert (status(run), positions(run)) == ("queued", [1])
    assert SESSIONS.fullmatch(letters(run))


@pytest.mark.usefixtures("no_holder")
def test_cancel_and_start_exclude_each_other(tmp_path):
    run = queued_run(tmp_path)
    with Recorder(run):  # as both do
        with pytest.raises(RunHeldError):
            cancel(run, by="key")
        assert status(run) == "queued"
        assert not holder.start(read_entries()[0], run)
        with pytest.raises(RunHeldError):
            start_now(run)
    assert positions(run) == [1]


@pytest.mark.usefixtures("no_holder")
def test_order_and_holding(tmp_path):
    runs = a, b, c = [queued_run(tmp_path) for _ in range(3)]
    assert move_up(c)
    assert positions(*runs) == [1, 3, 2]
    assert not move_up(a)
    set_held(a, held=True)
    assert positions(*runs) == [0, 2, 1]
    with pytest.raises(ConfigError, match="is held; put it back in line with: cnn-tui unpause"):
        move_up(a)
    set_held(a, held=False)
    assert positions(*runs) == [3, 2, 1]
    assert status(delete(b)) == "stopped"
    assert status(restore(tmp_path, b.id)) == "stopped"
    shutil.rmtree(c.path)
    assert positions(a) == [1]


@pytest.mark.usefixtures("no_holder")
def test_full_disk_leaves_no_run(tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(queue_entries, "write_atomically", fail)
    with pytest.raises(StorageError, match="cannot be written: No space left on device"):
        queued_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_queue_is_named_and_lists_nothing(tmp_path):
    path = queue_directory() / "queue.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"format": 1, "entries": [{"run": 3}]}')
    assert read_entries() == []
    with pytest.raises(StorageError, match=r"queue\.json: is damaged.*cnn-tui resume RUN"):
        queued_run(tmp_path)


def test_device_is_free_once_all_its_runs_have_ended(tmp_path):
    first, second = hold_device("cpu", tmp_path / "a"), hold_device("cpu", tmp_path / "b")
    assert take_device("cpu", None) is None
    first.close()
    assert take_device("cpu", None) is None
    assert take_device("cuda-0", None) is not None
    second.close()
    take_device("cpu", None).close()


def test_names_of_gpus_follow_the_visible_ones(monkeypatch):
    assert device_names("cpu", "3") == ["cpu"]
    assert device_names("cuda", "3, GPU-ab") == ["cuda-3", "cuda-GPU-ab"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert (device_name("cuda", 1), device_name("mps", 0)) == ("cuda-5", "mps")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert device_name("cuda", 1) == "cuda-1"


def write_images(folder):
    for name in ("cat", "dog"):
        for number in range(20):
            path = folder / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 10 * number, len(name))).save(path)


def test_engine_holds_its_device_before_pytorch_is_loaded(tmp_path, monkeypatch):
    """In the seconds of loading, the queue started another run on it."""
    run = RunForTests(tmp_path, "train.device=cpu")
    monkeypatch.setattr(run.engine._thread, "start", lambda: None)
    run.engine.start()
    assert run.engine.device.name == "cpu"
    assert take_device("cpu", None) is None
    run.engine.device.close()
    take_device("cpu", None).close()
    run.recorder.close()


def test_background_process_inherits_the_lock_of_its_device(tmp_path, monkeypatch):
    run = RunForTests(tmp_path / "first", "train.device=cpu")
    run.recorder.close()
    free = []

    def spawn(_run, _handed_over, device):
        assert device.name == "cpu"
        free.append(take_device("cpu", None))

    monkeypatch.setattr(background, "spawn", spawn)
    background.start_in_background(run.engine._request, create_run(tmp_path))
    assert free == [None]
