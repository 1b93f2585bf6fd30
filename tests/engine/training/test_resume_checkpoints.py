"""Checkpoints that a run resumes from, and checkpoints that are refused."""

from dataclasses import replace

import pytest
import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import LAST_FILE, PREVIOUS_FILE
from cnn_engine.errors import ConfigError, DataError, RunHeldError
from cnn_engine.runs.summary import read_summary
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_engine.training import trainer
from cnn_engine.training.train_state import TrainState
from interrupted_runs import (
    CPU,
    EPOCH_CHECKS,
    Killed,
    assert_same,
    resumed_events,
    tensors_to_bytes,
)
from runs_for_tests import RunForTests

pytestmark = pytest.mark.usefixtures("small_validation_batches")


def test_damaged_checkpoint_falls_back_to_previous(interrupted_run, uninterrupted_run):
    run = interrupted_run(EPOCH_CHECKS + 5)
    path = run.directory.path / LAST_FILE
    path.write_bytes(path.read_bytes()[:-9])
    run.resume()
    assert_same(run, uninterrupted_run())
    (resumed,) = resumed_events(run)
    assert (resumed.file, resumed.epoch, resumed.step) == (PREVIOUS_FILE, 2, 0)
    assert run.directory.path.joinpath("damaged.pt").exists()  # not renamed to previous.pt
    (notice,) = run.live_state.notices
    assert notice.text == (
        f"{path}: is damaged, or not a checkpoint of cnn-tui; resuming from previous.pt instead"
    )


def test_resume_is_refused_if_all_checkpoints_are_damaged(interrupted_run):
    run = interrupted_run(EPOCH_CHECKS + 5)
    for file in (LAST_FILE, PREVIOUS_FILE):
        (run.directory.path / file).write_bytes(b"text")
    before = run.directory.events.read_bytes()
    with pytest.raises(DataError, match="there is no undamaged one to resume from"):
        Engine.resume(run.directory)
    assert run.directory.events.read_bytes() == before
    run.recorder.__class__(run.directory).close()  # fails if the run is locked


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("model.filters=[4]", "is 4, expected 8"),
        ("model.hidden=[16, 16]", "is 16, expected no such weight"),
    ],
)
def test_checkpoint_of_another_model_is_refused(interrupted_run, key, message):
    run, other = interrupted_run(5), interrupted_run(5, key)
    path = run.directory.path / LAST_FILE
    path.write_bytes((other.directory.path / LAST_FILE).read_bytes())
    content = path.read_bytes()
    run.resume()
    assert (run.live_state.status, run.engine.exit_code) == ("stopped", 2)
    error = run.live_state.notices[-1].text
    assert "last.pt: does not fit the model of the run's config" in error
    assert message in error
    assert path.read_bytes() == content


def test_checkpoint_with_weights_only_is_refused(interrupted_run):
    run = interrupted_run(EPOCH_CHECKS + 5)
    path = run.directory.path / LAST_FILE
    path.write_bytes((run.directory.path / "best.pt").read_bytes())
    run.resume()
    assert run.engine.exit_code == 2
    assert "contains only weights" in run.live_state.notices[-1].text


# Changes of the machine or the images.


def test_other_thread_count_is_reported(interrupted_run, monkeypatch):
    run = interrupted_run(5)
    threads = torch.get_num_threads()
    monkeypatch.setattr("cnn_engine.system.device.choose_threads", lambda: threads + 1)
    run.resume()
    torch.set_num_threads(threads)
    assert run.live_state.status == "done"
    assert run.live_state.prepared.differences == (f"threads: {threads + 1}, before {threads}",)
    (notice,) = run.live_state.notices
    assert notice.text.startswith("Resumed approximately, not bit for bit: threads: ")


def test_optimizer_state_survives_change_of_precision(interrupted_run, monkeypatch):
    run = interrupted_run(5, "train.precision=bf16")
    saved = checkpoint.load(run.directory.path / LAST_FILE, CPU)["optimizer"]["mean"]
    monkeypatch.setattr("cnn_engine.training.learner.choose_precision", lambda *_: "fp32")
    loaded = {}

    load_state_dict = TrainState.load_state_dict

    def load_and_copy_mean(state, content):
        load_state_dict(state, content)
        mean = state.learner.optimizer.state_dict()["mean"]
        loaded.update(state.learner.weights.by_name(mean.clone()))

    monkeypatch.setattr(TrainState, "load_state_dict", load_and_copy_mean)
    run.resume()
    assert run.live_state.prepared.differences == ("precision: fp32, before bf16",)
    assert tensors_to_bytes(loaded) == tensors_to_bytes(saved)


def test_changed_images_are_refused(interrupted_run, monkeypatch):
    run = interrupted_run(5)
    monkeypatch.setattr("cnn_engine.data.split.TEST_SEED", 1)
    run.resume()
    assert run.engine.exit_code == 3
    assert (
        "the images, labels or split are not those that last.pt was trained on"
        in run.live_state.notices[-1].text
    )


def test_changed_number_of_images_is_refused(interrupted_run, monkeypatch):
    run = interrupted_run(5)
    real = trainer.check_images
    monkeypatch.setattr(
        "cnn_engine.training.trainer.check_images",
        lambda before, data: real(before, replace(data, train=data.train[:-7])),
    )
    run.resume()
    assert run.engine.exit_code == 3
    assert "1,144 train images, before 1,151" in run.live_state.notices[-1].text


# Finished, locked and empty runs.


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return RunForTests(tmp_path_factory.mktemp("runs"), "train.epochs=1").train()


def test_finished_run_is_refused(done):
    with pytest.raises(ConfigError, match=r"is done, after 1 epochs; .*--epochs 2"):
        Engine.resume(done.directory)
    with pytest.raises(ConfigError, match=r"--epochs 1: 1 are done already; use a larger number"):
        Engine.resume(done.directory, 1)
    assert read_summary(done.directory).status == "done"


def test_finished_run_can_be_trained_longer(tmp_path, uninterrupted_run):
    run = RunForTests(tmp_path, "train.epochs=1").train()
    assert run.live_state.status == "done"
    run.resume(epochs=2)
    state = run.live_state
    assert (state.status, state.total_epochs, len(state.epochs)) == ("done", 2, 2)
    assert_same(run, uninterrupted_run())
    assert [(command.command, command.value) for command in state.commands] == [("epochs", 2.0)]


def test_log_without_start_is_refused(tmp_path):
    run = RunForTests(tmp_path)
    run.recorder.close()
    with pytest.raises(ConfigError, match="does not contain a config"):
        Engine.resume(run.directory)


def test_locked_run_is_refused_with_its_process(interrupted_run):
    run = interrupted_run(5)
    run.prepare_resume()
    with pytest.raises(RunHeldError, match=r"process \d+ on \S+ is training it") as error:
        Engine.resume(run.directory)
    assert error.value.exit_code == 5
    run.recorder.close()


def kill(*_):
    raise Killed


def test_run_without_checkpoint_falls_back_to_digits(tmp_path, monkeypatch):
    run = RunForTests(
        tmp_path, "data.source=folder", f"data.path='{tmp_path / 'nowhere'}'", preset="folder"
    )
    fallback = RunForTests(tmp_path, "train.epochs=1").engine._request
    run.engine._request = replace(run.engine._request, fallback=fallback)
    with monkeypatch.context() as patches:
        patches.setattr("cnn_engine.training.setup.load_data", kill)
        patches.setattr("threading.excepthook", lambda _: None)
        run.train()
    assert run.live_state.preset == "folder"
    run.resume()
    state = run.live_state
    assert (state.status, state.preset) == ("done", "digits")


def test_resume_finds_images_from_another_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = Request.from_preset("folder", ["data.path=photos"])
    assert request.config.data.path == str(tmp_path / "photos")
