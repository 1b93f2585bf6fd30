"""A run that is broken off anywhere and resumed ends as if nothing had been."""

import math
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import LAST_FILE, PREVIOUS_FILE
from cnn_engine.errors import ConfigError, DataError, RunHeldError
from cnn_engine.runlog import events
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from cnn_engine.training import trainer
from cnn_engine.training.control import Control, StopRequested
from cnn_engine.training.optimizers import Adam
from cnn_engine.training.train_state import TrainState
from grammar import COMPLETION, FAILURE, SESSIONS, spelled
from runs_for_tests import RunForTests

CPU = torch.device("cpu")
EPOCHS = "train.epochs=2"
STEPS, VALIDATION_BATCHES = 18, 3
EPOCH_CHECKS = STEPS + VALIDATION_BATCHES


@pytest.fixture(autouse=True)
def small_validation_batches(monkeypatch):
    monkeypatch.setattr("cnn_engine.evaluation.evaluate.EVALUATION_PIXELS", {"cpu": 100 * 8 * 8})


class Killed(BaseException):
    """Ends an engine as a kill does: nothing more is recorded, nothing saved."""


def break_off(monkeypatch, check, error):
    """Raise the error when control is asked for the so-manieth time, which is once a step."""
    real, calls = Control.check, 0

    def counted(control):
        nonlocal calls
        calls += 1
        if calls == check:
            raise error
        real(control)

    monkeypatch.setattr(Control, "check", counted)


@pytest.fixture
def broken_off(tmp_path, monkeypatch):
    """Trains a run until a check, and then stops or kills it."""

    def train(check, *overrides, error=None):
        run = RunForTests(tmp_path, EPOCHS, *overrides)
        with monkeypatch.context() as patches:
            break_off(patches, check, error or StopRequested("test"))
            patches.setattr("threading.excepthook", lambda _: None)
            run.train()
        return run

    return train


_WHOLE = {}


@pytest.fixture
def whole(tmp_path_factory, small_validation_batches):
    """An unbroken run of each kind, made once."""

    def train(*overrides):
        if overrides not in _WHOLE:
            directory = tmp_path_factory.mktemp("whole")
            _WHOLE[overrides] = RunForTests(directory, EPOCHS, *overrides).train()
        return _WHOLE[overrides]

    return train


def results(run):
    """Return all results that must be equal; durations are not among them."""
    state, damaged = read_state(run.directory)
    assert damaged == 0
    epochs = [replace(epoch, time=0, train_seconds=0, val_seconds=0) for epoch in state.epochs]
    return epochs, state.test and replace(state.test, time=0, seconds=0)


def values_of(content):
    """A checkpoint's tensors as bytes, and its other values."""
    match content:
        case dict():
            return {key: values_of(value) for key, value in content.items()}
        case torch.Tensor():
            return content.dtype, content.shape, content.contiguous().numpy().tobytes()
    return content


def saved(run, file):
    content = checkpoint.load(run.directory.path / file, CPU)
    content.pop("train_seconds", None)
    return values_of(content)


def assert_same(run, other):
    assert results(run) == results(other)
    for file in ("best.pt", LAST_FILE):
        assert saved(run, file) == saved(other, file)


def resumed_events(run):
    return [event for event in run.events() if isinstance(event, events.RunResumed)]


POINTS = {
    "after the first step": 1,
    "in the first epoch": 7,
    "after the last step": STEPS,
    "in validation": STEPS + 2,
    "in the second epoch": EPOCH_CHECKS + 5,
    "in the last validation": 2 * EPOCH_CHECKS - 1,
    "in the test": 2 * EPOCH_CHECKS + 2,
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("point", POINTS)
def test_resume_after_stop_is_bit_equal(broken_off, whole, point, precision):
    kind = f"train.precision={precision}"
    run = broken_off(POINTS[point], kind)
    assert (run.live_state.status, run.live_state.test) == ("stopped", None)
    run.resume()
    assert (run.live_state.status, run.engine.exit_code) == ("done", 0)
    assert run.live_state.prepared.differences == ()
    assert_same(run, whole(kind))


RECIPE = (
    "augment.flip=alternating",
    "augment.translate=1",
    "augment.cutout=3",
    "optimizer.name=muon",
    "optimizer.lr=0.02",
    "optimizer.bias_norm_lr=0.05",
    "optimizer.weight_decay=0.01",
    "optimizer.normalise=true",
    "optimizer.clip_norm=1.0",
    "schedule.shape=cosine",
    "schedule.warmup=0.3",
    "average.every=3",
    "train.label_smoothing=0.1",
    "evaluate.tta=mirror-shift",
)


@pytest.mark.parametrize("kind", ["ema", "lookahead"])
@pytest.mark.parametrize("point", POINTS)
def test_resume_of_every_recipe_is_bit_equal(broken_off, whole, point, kind):
    recipe = (*RECIPE, f"average.kind={kind}")
    run = broken_off(POINTS[point], *recipe)
    run.resume()
    assert run.live_state.status == "done"
    assert_same(run, whole(*recipe))


@pytest.mark.parametrize("point", POINTS)
def test_resume_after_kill_is_bit_equal(broken_off, whole, point):
    run = broken_off(POINTS[point], error=Killed())
    assert run.live_state.finished is None
    known = len(run.events())
    run.resume()
    assert run.live_state.status == "done"
    assert_same(run, whole())
    resumed = run.events()[known]
    done_before = (POINTS[point] - 1) // EPOCH_CHECKS
    assert (resumed.epoch, resumed.step) == (done_before + 1, 0)
    assert resumed.file == (LAST_FILE if done_before else "")


def test_second_resume_is_bit_equal(broken_off, whole, monkeypatch):
    run = broken_off(4)
    for check in (3, EPOCH_CHECKS):
        with monkeypatch.context() as patches:
            break_off(patches, check, StopRequested("test"))
            run.resume()
    run.resume()
    assert_same(run, whole())
    assert [(event.epoch, event.step) for event in resumed_events(run)] == [(1, 4), (1, 7), (2, 7)]


def test_resume_before_first_epoch_starts_again(tmp_path, whole):
    run = RunForTests(tmp_path, EPOCHS)
    run.ask("stop")
    run.train()
    run.resume()
    assert_same(run, whole())
    (resumed,) = resumed_events(run)
    assert (resumed.epoch, resumed.step, resumed.file) == (1, 0, "")


def test_checkpoint_within_epoch_is_saved_when_due(broken_off, whole):
    run = broken_off(10, "train.checkpoint_seconds=1e-9", error=Killed())
    assert [(saved.epoch, saved.step) for saved in run.live_state.checkpoints] == [
        (1, step) for step in range(1, 10)
    ]
    run.resume()
    assert (resumed_events(run)[0].epoch, resumed_events(run)[0].step) == (1, 9)
    assert results(run) == results(whole())


def test_resumed_log_has_every_epoch_once(broken_off):
    run = broken_off(EPOCH_CHECKS + 5)
    before = run.live_state.elapsed_seconds
    run.resume()
    state = run.live_state
    assert [epoch.epoch for epoch in state.epochs] == [1, 2]
    assert list(state.curve.steps) == sorted(set(state.curve.steps))
    assert sum(event.images for event in state_steps(run) if event.epoch == 2) == 1151
    assert ("resume", STEPS + 5) in [(mark.kind, mark.step) for mark in state.markers]
    assert state.resumed.seconds == before
    assert state.finished.seconds > before
    assert read_state(run.directory)[0] == state
    assert read_summary(run.directory).status == "done"
    begun = [event for event in run.events() if isinstance(event, events.EpochStarted)]
    assert [(event.epoch, event.step) for event in begun] == [(1, 0), (2, 0), (2, 5)]


def test_log_of_several_sessions_follows_grammar(broken_off, whole):
    stopped, killed = broken_off(EPOCH_CHECKS + 5), broken_off(EPOCH_CHECKS + 5, error=Killed())
    for run in (stopped, killed):
        spelled_out = spelled(run.resume().events())
        assert SESSIONS.fullmatch(spelled_out)
        assert spelled_out.count("r") == 1
        assert spelled_out.endswith("ST.")


def state_steps(run):
    return [event for event in run.events() if isinstance(event, events.StepsFinished)]


def test_follower_of_resumed_run_sees_engine_state(broken_off):
    run = broken_off(EPOCH_CHECKS + 5, error=Killed())
    followed, reader = RunState(), LogReader(run.directory.events)
    run.take_hold()
    run.engine.start()
    while run.engine.is_alive():
        for event in reader.poll():
            followed.apply(event)
    for event in reader.poll():
        followed.apply(event)
    assert followed == run.live_state


def test_torn_last_line_is_ignored(broken_off, whole):
    run = broken_off(EPOCH_CHECKS + 5, error=Killed())
    with run.directory.events.open("ab") as log:
        log.write(b'{"kind":"StepsFin')
    run.resume()
    state, damaged = read_state(run.directory)
    assert (damaged, state) == (1, run.live_state)
    assert read_summary(run.directory).damaged_lines == 1
    assert saved(run, LAST_FILE) == saved(whole(), LAST_FILE)


def test_temporary_files_are_removed(broken_off):
    run = broken_off(5)
    stray = run.directory.path / "last.pt.999999.tmp"
    stray.write_bytes(b"half a checkpo")
    run.take_hold()
    assert not stray.exists()
    run.recorder.close()


def test_resume_ignores_earlier_commands(tmp_path, monkeypatch):
    run = RunForTests(tmp_path, "train.epochs=1")
    run.ask("lr", 0.002)
    run.ask("stop")
    run.train()
    run.take_hold()
    run.ask("lr", 0.003)  # as soon as the run is held, commands are for the new session
    run.train()
    assert run.live_state.status == "done"
    assert [command.value for command in run.live_state.commands if command.command == "lr"] == [
        0.003
    ]


def test_resumed_run_is_not_paused(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1")
    run.ask("pause")
    run.ask("stop")
    run.train()
    run.resume()
    assert (run.live_state.status, run.live_state.paused) == ("done", False)


# Which checkpoint.


def test_damaged_checkpoint_falls_back_to_previous(broken_off, whole):
    run = broken_off(EPOCH_CHECKS + 5)
    path = run.directory.path / LAST_FILE
    path.write_bytes(path.read_bytes()[:-9])
    run.resume()
    assert_same(run, whole())
    (resumed,) = resumed_events(run)
    assert (resumed.file, resumed.epoch, resumed.step) == (PREVIOUS_FILE, 2, 0)
    assert run.directory.path.joinpath("damaged.pt").exists()  # not rotated over the good one
    (notice,) = run.live_state.notices
    assert notice.text == (
        f"{path}: is damaged, or not a checkpoint of cnn-tui; resuming from previous.pt instead"
    )


def test_resume_is_refused_if_all_checkpoints_are_damaged(broken_off):
    run = broken_off(EPOCH_CHECKS + 5)
    for file in (LAST_FILE, PREVIOUS_FILE):
        (run.directory.path / file).write_bytes(b"text")
    before = run.directory.events.read_bytes()
    with pytest.raises(DataError, match="there is no undamaged one to resume from"):
        Engine.resume(run.directory)
    assert run.directory.events.read_bytes() == before
    run.recorder.__class__(run.directory).close()  # nobody holds it


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("model.filters=[4]", "is 4, expected 8"),
        ("model.hidden=[16, 16]", "is 16, expected no such weight"),
    ],
)
def test_checkpoint_of_another_model_is_refused(broken_off, key, told):
    run, other = broken_off(5), broken_off(5, key)
    path = run.directory.path / LAST_FILE
    path.write_bytes((other.directory.path / LAST_FILE).read_bytes())
    whole_file = path.read_bytes()
    run.resume()
    assert (run.live_state.status, run.engine.exit_code) == ("failed", 2)
    error = run.live_state.finished.error
    assert "last.pt: does not fit the model of the run's config" in error
    assert told in error
    assert path.read_bytes() == whole_file


def test_checkpoint_with_weights_only_is_refused(broken_off):
    run = broken_off(EPOCH_CHECKS + 5)
    path = run.directory.path / LAST_FILE
    path.write_bytes((run.directory.path / "best.pt").read_bytes())
    run.resume()
    assert run.engine.exit_code == 2
    assert "holds weights only" in run.live_state.finished.error


# Other circumstances.


def test_other_thread_count_is_reported(broken_off, monkeypatch):
    run = broken_off(5)
    threads = torch.get_num_threads()
    monkeypatch.setattr("cnn_engine.system.device.choose_threads", lambda: threads + 1)
    run.resume()
    torch.set_num_threads(threads)
    assert run.live_state.status == "done"
    assert run.live_state.prepared.differences == (f"threads: {threads + 1}, before {threads}",)
    (notice,) = run.live_state.notices
    assert notice.text.startswith("Resumed approximately, not bit for bit: threads: ")


def test_optimizer_state_survives_change_of_precision(broken_off, monkeypatch):
    run = broken_off(5, "train.precision=bf16")
    kept = checkpoint.load(run.directory.path / LAST_FILE, CPU)["optimizer"]["mean"]
    monkeypatch.setattr("cnn_engine.training.learner.choose_precision", lambda *_: "fp32")
    seen = {}

    load_state_dict = TrainState.load_state_dict

    def load_and_copy_mean(state, content):
        load_state_dict(state, content)
        mean = state.learner.optimizer.state_dict()["mean"]
        seen.update(state.learner.weights.by_name(mean.clone()))

    monkeypatch.setattr(TrainState, "load_state_dict", load_and_copy_mean)
    run.resume()
    assert run.live_state.prepared.differences == ("precision: fp32, before bf16",)
    assert values_of(seen) == values_of(kept)


def test_changed_images_are_refused(broken_off, monkeypatch):
    run = broken_off(5)
    monkeypatch.setattr("cnn_engine.data.dataset.TEST_SEED", 1)
    run.resume()
    assert run.engine.exit_code == 3
    assert (
        "the training images are not those that last.pt was trained on"
        in run.live_state.finished.error
    )


def test_changed_number_of_images_is_refused(broken_off, monkeypatch):
    run = broken_off(5)
    real = trainer.check_images
    monkeypatch.setattr(
        "cnn_engine.training.trainer.check_images",
        lambda before, data: real(before, replace(data, train=data.train[:-7])),
    )
    run.resume()
    assert run.engine.exit_code == 3
    assert "1,144 train images, before 1,151" in run.live_state.finished.error


# More epochs, and what cannot be resumed.


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return RunForTests(tmp_path_factory.mktemp("runs"), "train.epochs=1").train()


def test_finished_run_is_refused(done):
    with pytest.raises(ConfigError, match=r"is done, after 1 epochs; .*--epochs 2 or more"):
        Engine.resume(done.directory)
    with pytest.raises(ConfigError, match=r"--epochs 1: 1 are done already; use a larger number"):
        Engine.resume(done.directory, 1)
    assert read_summary(done.directory).status == "done"


def test_finished_run_can_be_trained_longer(tmp_path, whole):
    run = RunForTests(tmp_path, "train.epochs=1").train()
    assert run.live_state.status == "done"
    run.resume(epochs=2)
    state = run.live_state
    assert (state.status, state.total_epochs, len(state.epochs)) == ("done", 2, 2)
    assert_same(run, whole())
    assert [(command.command, command.value) for command in state.commands] == [("epochs", 2.0)]


def test_log_without_start_is_refused(tmp_path):
    run = RunForTests(tmp_path)
    run.recorder.close()
    with pytest.raises(ConfigError, match="does not tell what it trained"):
        Engine.resume(run.directory)


def test_locked_run_is_refused_with_its_process(broken_off):
    run = broken_off(5)
    run.take_hold()
    with pytest.raises(RunHeldError, match=r"process \d+ on \S+ trains it.*cnn-tui watch") as error:
        Engine.resume(run.directory)
    assert error.value.exit_code == 5
    run.recorder.close()


def killed(*_):
    raise Killed


def test_run_without_checkpoint_falls_back_to_digits(tmp_path, monkeypatch):
    run = RunForTests(
        tmp_path, "data.source=folder", f"data.path='{tmp_path / 'nowhere'}'", preset="folder"
    )
    fallback = RunForTests(tmp_path, "train.epochs=1").engine._request
    run.engine._request = replace(run.engine._request, fallback=fallback)
    with monkeypatch.context() as patches:
        patches.setattr("cnn_engine.training.setup.load_data", killed)
        patches.setattr("threading.excepthook", lambda _: None)
        run.train()
    assert run.live_state.preset == "folder"
    run.resume()
    state = run.live_state
    assert (state.status, state.preset) == ("done", "digits")


# A loss that is not a number.


def poison(patches, first, last=math.inf, when=lambda module: module.training):
    """Spoil the model's scores in some calls; the loss is looked at after every step."""
    real, calls = nn.Module.__call__, 0

    def call(module, *arguments):
        nonlocal calls
        scores = real(module, *arguments)
        if type(module).__name__ == "CNN" and when(module):
            calls += 1
            if first <= calls <= last:
                return scores * math.nan
        return scores

    patches.setattr(nn.Module, "__call__", call)
    patches.setattr("cnn_engine.training.step_logger.EVENT_SECONDS", 0.0)


def rollbacks(run):
    return [event for event in run.events() if isinstance(event, events.RolledBack)]


def test_failed_run_resumes_from_last_good_checkpoint(tmp_path, monkeypatch, whole):
    run = RunForTests(tmp_path, EPOCHS)
    with monkeypatch.context() as patches:
        poison(patches, 25)
        run.train()
    assert (run.live_state.status, run.engine.exit_code) == ("failed", 4)
    run.resume()
    assert_same(run, whole())


def test_rollback_loads_last_checkpoint_and_halves_lr(tmp_path, monkeypatch):
    poison(monkeypatch, 25, 25)
    run = RunForTests(tmp_path, EPOCHS, "train.on_non_finite=rollback").train()
    state = run.live_state
    assert state.status == "done"
    (back,) = rollbacks(run)
    assert (back.epoch, back.step, back.file, back.lr) == (2, 0, LAST_FILE, 0.0005)
    assert re.fullmatch(r"training loss became nan at step 7 of epoch 2", back.reason)
    assert [epoch.epoch for epoch in state.epochs] == [1, 2]
    assert all(map(math.isfinite, state.curve.losses))
    assert ("rollback", STEPS) in [(mark.kind, mark.step) for mark in state.markers]
    assert state.recent[-1].lr == 0.0005
    assert read_state(run.directory)[0] == state
    assert COMPLETION.fullmatch(spelled(run.events()))


def test_rollback_without_checkpoint_starts_again(tmp_path, monkeypatch):
    poison(monkeypatch, 5, 5)
    run = RunForTests(tmp_path, EPOCHS, "train.on_non_finite=rollback").train()
    (back,) = rollbacks(run)
    assert (back.epoch, back.step, back.file, back.lr) == (1, 0, "", 0.0005)
    expected = RunForTests(tmp_path, EPOCHS, "optimizer.lr=0.0005").train()
    assert results(run) == results(expected)
    assert COMPLETION.fullmatch(spelled(run.events()))


def test_rollback_gives_up(tmp_path, monkeypatch):
    poison(monkeypatch, 25)
    run = RunForTests(tmp_path, EPOCHS, "train.on_non_finite=rollback").train()
    assert (run.live_state.status, run.engine.exit_code) == ("failed", 4)
    assert "gave up after 5 rollbacks" in run.live_state.finished.error
    assert [back.lr for back in rollbacks(run)] == [0.001 / 2**n for n in range(1, 6)]
    assert FAILURE.fullmatch(spelled(run.events()))


@pytest.mark.parametrize("policy", ["stop", "rollback", "continue"])
def test_nan_validation_loss_follows_policy(tmp_path, monkeypatch, policy):
    first = VALIDATION_BATCHES + 1
    poison(monkeypatch, first, first, when=lambda _: torch.is_inference_mode_enabled())
    run = RunForTests(tmp_path, EPOCHS, f"train.on_non_finite={policy}").train()
    state = run.live_state
    if policy == "stop":
        assert (state.status, run.engine.exit_code) == ("failed", 4)
        assert "validation loss became nan in epoch 2" in state.finished.error
        assert checkpoint.load(run.directory.path / LAST_FILE, CPU)["epoch"] == 1
    elif policy == "rollback":
        assert [(back.epoch, back.step) for back in rollbacks(run)] == [(2, 0)]
        assert (state.status, len(state.epochs)) == ("done", 2)
        assert COMPLETION.fullmatch(spelled(run.events()))
    else:
        assert (state.status, len(state.epochs)) == ("done", 2)
        assert math.isnan(state.epochs[1].val_loss)
        assert state.best.epoch == state.test.epoch == 1


def test_continue_policy_warns_once_per_epoch_and_saves_no_nan(tmp_path, monkeypatch):
    poison(monkeypatch, 25)
    run = RunForTests(tmp_path, "train.epochs=3", "train.on_non_finite=continue").train()
    state = run.live_state
    assert (state.status, len(state.epochs)) == ("done", 3)
    told = [notice.text for notice in state.notices if "loss became nan" in notice.text]
    assert [re.search(r"epoch (\d)", text)[1] for text in told] == ["2", "3"]
    for file in ("best.pt", LAST_FILE):
        content = checkpoint.load(run.directory.path / file, CPU)
        assert content["epoch"] == 1
        assert all(values.isfinite().all() for values in content["model"].values())


def spoil_a_weight(patches, step):
    """One weight is no longer a number after so many steps; no loss of theirs tells."""
    real, calls = Adam.step, 0

    def spoil(optimizer):
        nonlocal calls
        real(optimizer)
        calls += 1
        if calls == step:
            with torch.no_grad():
                optimizer.param_groups[0]["params"][0][17] = math.nan

    patches.setattr(Adam, "step", spoil)


def test_nan_weights_are_not_saved(broken_off, monkeypatch):
    spoil_a_weight(monkeypatch, STEPS + 5)
    run = broken_off(EPOCH_CHECKS + 5)  # stops right after that step
    content = checkpoint.load(run.directory.path / LAST_FILE, CPU)
    assert (content["epoch"], content["step"]) == (1, STEPS)
    (notice,) = run.live_state.notices
    assert notice.text == (
        "last.pt is not saved, as weights are not finite; that of epoch 1 is kept"
    )


@pytest.mark.parametrize("policy", ["stop", "rollback", "continue"])
def test_nan_weight_without_nan_loss_follows_policy(tmp_path, monkeypatch, policy):
    spoil_a_weight(monkeypatch, 2 * STEPS)
    settings = (EPOCHS, "train.precision=fp32", f"train.on_non_finite={policy}")
    run = RunForTests(tmp_path, *settings).train()
    state, told = run.live_state, "weights are not finite after the steps of epoch 2"
    if policy == "stop":
        assert (state.status, run.engine.exit_code) == ("failed", 4)
        assert state.finished.error == f"{told}; try a lower optimizer.lr"
        assert [epoch.epoch for epoch in state.epochs] == [1]
        assert state.best.epoch == 1
        assert SESSIONS.fullmatch(spelled(run.events()))
    elif policy == "rollback":
        assert [(back.epoch, back.step, back.reason) for back in rollbacks(run)] == [(2, 0, told)]
        assert (state.status, len(state.epochs)) == ("done", 2)
        assert checkpoint.load(run.directory.path / LAST_FILE, CPU)["epoch"] == 2
    else:
        assert any(told in notice.text for notice in state.notices)
        assert (state.status, state.test.epoch) == ("done", 1)
        assert checkpoint.load(run.directory.path / LAST_FILE, CPU)["epoch"] == 1


def test_resume_finds_images_from_another_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = Request.from_preset("folder", ["data.path=photos"])
    assert request.config.data.path == str(tmp_path / "photos")
