"""Checkpoints that a thread writes while training continues, as on a GPU."""

import errno
import time
from functools import partial
from itertools import pairwise
from threading import Event, Thread

import pytest
import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.writer import MAX_PENDING, Writer
from cnn_engine.errors import StorageError
from cnn_engine.runlog.events import CheckpointSaved, EpochFinished, Notice
from cnn_engine.training import checkpointer
from grammar import COMPLETION_BEHIND, event_letters
from runs_for_tests import RunForTests, wait_until

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def behind(monkeypatch):
    monkeypatch.setattr("cnn_engine.training.trainer.writes_in_background", lambda _: True)


@pytest.fixture
def every_epoch(monkeypatch):
    monkeypatch.setattr(checkpointer, "MIN_SAVE_SECONDS", 0.0)


def saved_of(run, reason):
    events = [event for event in run.events() if isinstance(event, CheckpointSaved)]
    return [event for event in events if event.reason == reason]


def test_finished_run_has_written_all_recorded_checkpoints(tmp_path, every_epoch):
    run = RunForTests(tmp_path, "train.epochs=5").train()
    assert COMPLETION_BEHIND.fullmatch(event_letters(run.events()))
    assert [event.epoch for event in saved_of(run, "last")] == [1, 2, 3, 4, 5]
    best = checkpoint.load(run.directory.path / "best.pt", CPU)
    last = checkpoint.load(run.directory.path / "last.pt", CPU)
    assert best["epoch"] == run.live_state.best.epoch == run.live_state.test.epoch
    assert last["best_value"] == best["best_value"] == run.live_state.best.val_loss
    assert (last["epoch"], last["step"]) == (5, 18)


def test_checkpoint_is_recorded_after_its_epoch(tmp_path, every_epoch):
    run = RunForTests(tmp_path, "train.epochs=6").train()
    logged = run.events()
    for event in saved_of(run, "best") + saved_of(run, "last"):
        before = logged[: logged.index(event)]
        epochs = [earlier.epoch for earlier in before if isinstance(earlier, EpochFinished)]
        assert event.epoch in epochs
    marks = [mark.step for mark in run.live_state.markers if mark.kind == "best"]
    assert marks == [18 * event.epoch for event in saved_of(run, "best")]


def test_saved_state_is_a_snapshot_while_training_continues(tmp_path, every_epoch, monkeypatch):
    """On a slow disk training continues while the state of the previous epoch is written."""
    real, written = checkpoint.write_atomically, []

    def write_slowly(path, content, **options):
        time.sleep(0.05)
        written.append(bytes(content))
        real(path, content, **options)

    monkeypatch.setattr(checkpoint, "write_atomically", write_slowly)
    behind = RunForTests(tmp_path, "train.epochs=3").train()
    monkeypatch.undo()
    at_once = RunForTests(tmp_path, "train.epochs=3").train()
    contents = [checkpoint.load(run.directory.path / "last.pt", CPU) for run in (behind, at_once)]
    for name, values in contents[0]["model"].items():
        assert torch.equal(values, contents[1]["model"][name])
    for name, values in contents[0]["optimizer"]["mean"].items():
        assert torch.equal(values, contents[1]["optimizer"]["mean"][name])
    assert len(written) == len(saved_of(behind, "best")) + len(saved_of(behind, "last"))


def test_last_short_epoch_is_saved(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=8").train()
    last = [event.epoch for event in saved_of(run, "last")]
    assert last[0] == 1
    assert last[-1] == 8
    assert len(last) < 8


@pytest.mark.parametrize("name", ["stop", "stop-epoch"])
def test_stop_saves_last_state(tmp_path, name):
    run = RunForTests(tmp_path, "train.epochs=100000")
    run.engine.start()
    wait_until(lambda: len(run.live_state.epochs) >= 3)
    run.send(name)
    run.engine.join()
    state = run.live_state
    last = checkpoint.load(run.directory.path / "last.pt", CPU)
    assert last["epoch"] == state.epoch
    assert last["step"] == state.step
    epochs = len(state.epochs) + 2
    run.resume(epochs=epochs)
    assert (run.live_state.status, len(run.live_state.epochs)) == ("done", epochs)


def test_lr_set_between_checkpoint_and_stop_is_saved(tmp_path):
    """All three commands are processed together, without a training step in between."""
    run = RunForTests(tmp_path, "train.epochs=100000")
    run.engine.start()
    wait_until(lambda: len(run.live_state.epochs) >= 1)
    run.send("pause")
    wait_until(lambda: run.live_state.paused)
    run.send("checkpoint")
    run.send("lr", 3e-5)
    run.send("stop")
    run.engine.join()
    last = checkpoint.load(run.directory.path / "last.pt", CPU)
    assert last["optimizer"]["lr"] == 3e-5


def test_resumed_run_equals_uninterrupted_one(tmp_path, every_epoch):
    uninterrupted = RunForTests(tmp_path, "train.epochs=4").train()
    resumed = RunForTests(tmp_path, "train.epochs=2").train()
    resumed.resume(epochs=4)
    losses = [
        [(epoch.train_loss, epoch.val_loss) for epoch in run.live_state.epochs]
        for run in (uninterrupted, resumed)
    ]
    assert losses[0] == losses[1]


def test_last_state_is_best_without_validation_images(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=6", "data.validation_fraction=0.0").train()
    assert run.live_state.test.epoch == 6
    assert saved_of(run, "best")[-1].epoch == 6


def test_best_checkpoint_on_full_disk_is_not_recorded(tmp_path, every_epoch, monkeypatch):
    real = checkpoint.write_atomically

    def refuse(path, content, **options):
        if path.name == "best.pt":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, content, **options)

    monkeypatch.setattr(checkpoint, "write_atomically", refuse)
    run = RunForTests(tmp_path, "train.epochs=3").train()
    assert saved_of(run, "best") == []
    notices = [event.text for event in run.events() if isinstance(event, Notice)]
    assert any(text.startswith("best.pt could not be saved: No space left") for text in notices)
    last = checkpoint.load(run.directory.path / "last.pt", CPU)
    assert last["best_value"] == float("inf")


def test_requested_checkpoint_is_on_disk_when_recorded(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=100000")
    run.engine.start()
    wait_until(lambda: len(run.live_state.epochs) >= 1)
    run.send("checkpoint")
    wait_until(lambda: any(saved.reason == "asked" for saved in run.live_state.checkpoints))
    assert (run.directory.path / "last.pt").exists()
    run.send("stop")
    run.engine.join()


def test_log_is_synced_before_checkpoint_and_at_its_end(tmp_path, monkeypatch):
    """After a power cut no checkpoint is ahead of the log, and its end is not lost."""
    order = []
    real = checkpoint.write_atomically

    def write(path, content, **options):
        order.append(path.name)
        real(path, content, **options)

    run = RunForTests(tmp_path, "train.epochs=1")
    monkeypatch.setattr(checkpoint, "write_atomically", write)
    monkeypatch.setattr(run.recorder._log, "sync", lambda: order.append("log"))
    run.train()
    checkpoints = [name for name in order if name != "log"]
    assert checkpoints
    before = [name for checkpoint_name in checkpoints for name in ("log", checkpoint_name)]
    assert order == [*before, "log"]


@pytest.mark.parametrize("behind", [False, True])
def test_writer_runs_jobs_in_order_and_reports_success_and_failure(behind):
    done, reported = [], []
    writer = Writer(in_background=behind)

    def job(number):
        time.sleep(0.02 * (3 - number))
        done.append(number)
        if number == 1:
            raise StorageError("disk full")

    for number in range(3):
        writer.write(
            partial(job, number),
            partial(reported.append, number),
            lambda error: reported.append(str(error)),
        )
    assert reported == ([] if behind else [0, "disk full", 2])
    writer.close()
    assert done == [0, 1, 2]
    assert reported == [0, "disk full", 2]


def test_writer_raises_unexpected_exceptions():
    writer = Writer(in_background=True)
    writer.write(lambda: 1 / 0, lambda: None, lambda _: None)
    with pytest.raises(ZeroDivisionError):
        writer.close()


def test_writer_bounds_pending_jobs():
    released, written = Event(), []
    writer = Writer(in_background=True)

    def write_all():
        for number in range(MAX_PENDING + 1):
            writer.write(released.wait, partial(written.append, number), pytest.fail)

    thread = Thread(target=write_all)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()  # the last job waits for the first
    assert len(writer._pending) == MAX_PENDING
    released.set()
    thread.join()
    writer.close()
    assert len(written) == MAX_PENDING + 1


def test_copy_to_host_keeps_shared_storage():
    flat = torch.arange(12.0)
    content = {"a": flat[:6].view(2, 3), "b": [flat[6:].view(3, 2).T], "c": 7, "d": None}
    copy = checkpoint.copy_to_host(content)
    flat.zero_()
    assert copy["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert copy["b"][0].tolist() == [[6, 8, 10], [7, 9, 11]]
    assert (copy["c"], copy["d"]) == (7, None)
    storages = [values.untyped_storage().data_ptr() for values in (copy["a"], copy["b"][0])]
    assert all(one == other for one, other in pairwise(storages))
