"""Training of small models: recorded events, saved checkpoints and every way to end."""

import math
import re
import time
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, max_pool2d, relu

from cnn_engine.checkpoints import checkpoint
from cnn_engine.config.presets import load_config
from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.loader import epoch_order, make_loader
from cnn_engine.models.build import build_model
from cnn_engine.models.cnn import Dropout
from cnn_engine.results.predictions import read_predictions
from cnn_engine.runlog import events
from cnn_engine.runlog.log import LogReader
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.commands import Command
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.training.trainer import Trainer
from grammar import COMPLETION, FAILURE, SESSIONS, STOP, event_letters
from runs_for_tests import RunForTests, wait_until


@pytest.fixture(scope="module")
def completed(tmp_path_factory):
    return RunForTests(tmp_path_factory.mktemp("runs"), "train.epochs=4").train()


def test_completed_run_follows_grammar(completed):
    assert COMPLETION.fullmatch(event_letters(completed.events()))
    assert completed.engine.exit_code == 0
    assert completed.live_state.status == "done"


def test_training_reduces_loss(completed):
    epochs = completed.live_state.epochs
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[-1].train_loss < 0.9 * epochs[0].train_loss
    assert epochs[-1].val_accuracy > 0.5  # ten classes
    assert all(epoch.train_seconds > 0 < epoch.val_seconds for epoch in epochs)


def test_every_image_is_counted_once(completed):
    state = completed.live_state
    assert sum(state.epochs[0].total) == state.prepared.val_images == 287
    assert sum(state.test.total) == state.prepared.test_images == 359
    steps = [event for event in completed.events() if isinstance(event, events.StepsFinished)]
    per_epoch = sum(event.images for event in steps if event.epoch == 2)
    assert per_epoch == state.prepared.train_images == 1151
    assert sum(event.steps for event in steps if event.epoch == 2) == state.steps_per_epoch == 18


def test_state_read_from_the_log_equals_live_state(completed):
    read, damaged = read_state(completed.directory)
    assert damaged == 0
    assert read == completed.live_state


def test_follower_sees_engine_state(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=3")
    followed, reader = RunState(), LogReader(run.directory.events)
    run.engine.start()
    while run.engine.is_alive():
        for event in reader.poll():
            followed.apply(event)
        time.sleep(0.01)
    for event in reader.poll():
        followed.apply(event)
    assert followed == run.live_state
    assert followed.status == "done"


def test_best_epoch_is_saved_and_tested(completed):
    state = completed.live_state
    best = checkpoint.load(completed.directory.path / "best.pt", torch.device("cpu"))
    last = checkpoint.load(completed.directory.path / "last.pt", torch.device("cpu"))
    assert best["epoch"] == state.best.epoch == state.test.epoch
    assert best["best_value"] == state.best.val_loss
    assert (last["epoch"], last["step"]) == (4, 18)
    assert last["optimizer"]["steps"] == 4 * 18
    config = load_config("digits", ["data.image_size=8", "model.filters=[8]", "model.hidden=[16]"])
    data = load_dataset(config.data, config.train.seed, lambda *_: None)
    model = build_model(config.model, 1, 8, 10)
    model.load_state_dict(best["model"])
    model.eval()
    batches = make_loader(torch.device("cpu"), data, config.data.mean, config.data.std)
    correct = sum(
        int((model(images).argmax(1) == labels).sum())
        for images, labels in batches.batches(data.test, 99)
    )
    assert correct == pytest.approx(sum(state.test.correct), abs=3)  # the run may use bf16


def test_equal_loss_replaces_best(tmp_path):
    # With a learning rate of almost 0 every epoch has the same loss, and is "≤ the best".
    run = RunForTests(tmp_path, "train.epochs=3", "optimizer.lr=1e-30").train()
    losses = {epoch.val_loss for epoch in run.live_state.epochs}
    best = [saved.epoch for saved in run.live_state.checkpoints if saved.reason == "best"]
    if len(losses) == 1:
        assert best == [1, 2, 3]
    assert best[0] == 1


def test_stopped_run_saves_weights_and_skips_test(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=100000")
    run.engine.start()
    wait_until(lambda: len(run.live_state.epochs) >= 2)
    run.send("stop")
    run.engine.join()
    state = run.live_state
    assert (state.status, run.engine.exit_code) == ("stopped", 0)
    assert [command.command for command in state.commands] == ["stop"]
    assert state.test is None
    assert STOP.fullmatch(event_letters(run.events()))
    last = checkpoint.load(run.directory.path / "last.pt", torch.device("cpu"))
    assert (last["epoch"], last["step"]) == (run.live_state.epoch, last["step"])
    assert read_state(run.directory)[0] == state


def training_events(run):
    """Return all events except measurements of the machine, which a pause does not stop."""
    return [event for event in run.events() if not isinstance(event, events.MachineMeasured)]


def test_step_times_exclude_pauses(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=100000")
    run.engine.start()
    wait_until(lambda: len(run.live_state.epochs) >= 2)
    run.send("pause")
    wait_until(lambda: run.live_state.paused)
    recorded = training_events(run)
    time.sleep(1.0)
    assert training_events(run) == recorded
    done = len(run.live_state.epochs)
    run.send("unpause")
    wait_until(lambda: len(run.live_state.epochs) >= done + 2)
    run.send("stop")
    run.engine.join()
    logged = run.events()
    assert STOP.fullmatch(event_letters(logged))
    pause, unpause = (
        next(event.time for event in logged if getattr(event, "command", "") == name)
        for name in ("pause", "unpause")
    )
    assert unpause - pause >= 1.0
    after = [event for event in logged if event.time >= unpause]
    steps = next(event for event in after if isinstance(event, events.StepsFinished))
    epoch = next(event for event in after if isinstance(event, events.EpochFinished))
    started = {
        event.epoch: event.time for event in logged if isinstance(event, events.EpochStarted)
    }
    for event, seconds in (
        (steps, steps.seconds),
        (epoch, epoch.train_seconds + epoch.val_seconds),
    ):
        since = started[event.epoch]
        paused = unpause - pause if since < pause else 0.0
        assert 0 < seconds < event.time - since - paused + 0.5


def test_commands_change_running_training(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=100000")
    run.send("lr", 0.002)  # before the optimizer exists
    run.engine.start()
    wait_until(lambda: len(run.live_state.epochs) >= 1)
    assert run.live_state.lr == 0.002
    run.send("lr", 0.0005)
    run.send("checkpoint")
    wait_until(lambda: any(saved.reason == "asked" for saved in run.live_state.checkpoints))
    run.send("pause")
    wait_until(lambda: run.live_state.paused)
    requested = run.live_state.epoch + 1
    run.send("epochs", requested)
    run.send("unpause")
    run.engine.join()
    state = run.live_state
    assert (state.status, state.total_epochs, len(state.epochs)) == ("done", requested, requested)
    assert COMPLETION.fullmatch(event_letters(run.events()))
    names = [command.command for command in state.commands]
    assert names == ["lr", "lr", "checkpoint", "pause", "epochs", "unpause"]
    assert state.recent[-1].lr == 0.0005
    assert [marker.kind for marker in state.markers if marker.kind != "best"] == [
        "lr",
        "lr",
        "checkpoint",
        "pause",
        "epochs",
    ]
    last = checkpoint.load(run.directory.path / "last.pt", torch.device("cpu"))
    assert last["optimizer"]["lr"] == 0.0005
    assert last["config"]["train"]["epochs"] == requested
    assert read_state(run.directory)[0] == state


def test_requested_checkpoint_has_current_weights(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1")
    run.send("checkpoint")  # applied once the model is built
    run.engine.start()
    run.engine.join()
    logged = run.events()
    saved = next(event for event in logged if isinstance(event, events.CheckpointSaved))
    assert (saved.reason, saved.epoch, saved.file) == ("asked", 0, "last.pt")
    before = logged[: logged.index(saved)]
    assert any(isinstance(event, events.RunPrepared) for event in before)
    assert not any(isinstance(event, events.EpochStarted) for event in before)


def test_stop_after_epoch_finishes_epoch_and_tests(tmp_path):
    """A run that is stopped in time has the metrics of the final test."""
    run = RunForTests(tmp_path, "train.epochs=100000")
    run.send("stop-epoch", by="cli")
    run.train()
    state = run.live_state
    assert (state.status, run.engine.exit_code) == ("stopped", 0)
    assert [epoch.epoch for epoch in state.epochs] == [1]
    assert STOP.fullmatch(event_letters(run.events()))
    assert event_letters(run.events()).endswith("FblST.")
    assert state.test.epoch == 1
    assert sum(state.test.total) == state.prepared.test_images
    run.resume(epochs=2)
    assert (run.live_state.status, run.live_state.test.epoch) == ("done", 2)
    assert SESSIONS.fullmatch(event_letters(run.events()))


def test_run_stopped_with_a_test_has_its_metrics_and_resumes_exactly(tmp_path, monkeypatch):
    """Stopped twice: in the first epoch, where there is no best model yet, and in the second."""
    expected = RunForTests(tmp_path, "train.epochs=2").train().live_state
    run = RunForTests(tmp_path, "train.epochs=2")
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)
    real, position = Trainer._after_step, (1, 5)

    def after_step(trainer, logger):
        if (trainer.epoch, trainer.progress.step) == position:
            run.engine.deliver(Command(name="stop-test", by="cli"))
        real(trainer, logger)

    monkeypatch.setattr(Trainer, "_after_step", after_step)
    run.train()
    state = run.live_state
    assert (state.status, run.engine.exit_code, state.best) == ("stopped", 0, None)
    assert state.notices[-1].text == "The test uses the current weights: no epoch is finished yet"
    assert sum(state.test.total) == state.prepared.test_images
    assert STOP.fullmatch(event_letters(run.events()))
    position = (2, 7)
    run.resume()
    state = run.live_state
    assert (state.status, state.test.epoch, state.epoch, state.step) == ("stopped", 1, 2, 7)
    assert read_predictions(run.directory, state.test).epoch == 1
    assert read_summary(run.directory).test_accuracy == state.test.accuracy
    position = None
    run.resume()
    state = run.live_state
    assert state.status == "done"
    assert (state.test.loss, state.test.correct) == (expected.test.loss, expected.test.correct)
    assert SESSIONS.fullmatch(event_letters(run.events()))


def test_stop_with_a_test_while_a_run_loads(tmp_path):
    """A new run has nothing to test; a resumed one is tested once it is loaded."""
    run = RunForTests(tmp_path, "train.epochs=3")
    run.send("stop-test")
    run.train()
    assert (run.live_state.status, run.live_state.test) == ("stopped", None)
    run.prepare_resume()
    run.send("stop-epoch")
    run.train()
    run.prepare_resume()
    run.send("stop-test")
    run.train()
    state = run.live_state
    assert (state.status, state.test.epoch, len(state.epochs)) == ("stopped", 1, 1)
    assert SESSIONS.fullmatch(event_letters(run.events()))


def test_stop_after_the_last_epoch_is_done(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1")
    run.send("stop-epoch")
    run.train()
    assert run.live_state.status == "done"
    assert run.live_state.test is not None


def test_run_paused_while_it_loads_can_be_changed_and_stopped(tmp_path):
    """A run that is paused in the background answers `set` and `checkpoint`."""
    run = RunForTests(tmp_path)
    run.send("pause")
    run.engine.start()
    wait_until(lambda: run.live_state.paused)
    assert run.live_state.status == "paused"
    run.send("lr", value=0.5)
    run.send("checkpoint")
    wait_until(lambda: run.live_state.checkpoints)
    assert [command.command for command in run.live_state.commands] == ["pause", "lr", "checkpoint"]
    assert run.live_state.steps_done == 0
    run.send("stop", by="SIGTERM")
    run.engine.join()
    assert (run.live_state.status, run.engine.exit_code) == ("stopped", 143)


def test_confusion_counts_misclassified_images(completed):
    state = completed.live_state
    for result in (state.epochs[-1], state.test):
        wrong = sum(images for _, _, images in result.confusion)
        assert wrong == sum(result.total) - sum(result.correct) > 0
        per_class = [
            sum(images for target, _, images in result.confusion if target == index)
            for index in range(10)
        ]
        assert per_class == [a - b for a, b in zip(result.total, result.correct, strict=True)]


@pytest.mark.parametrize(
    ("by", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGXCPU", 152), ("cli", 0)]
)
def test_run_stopped_before_training_ends_at_once(tmp_path, by, code):
    run = RunForTests(tmp_path)
    run.send("stop", by=by)
    run.train()
    assert (run.live_state.status, run.engine.exit_code) == ("stopped", code)
    assert STOP.fullmatch(event_letters(run.events()))


def test_nan_loss_fails_run_and_keeps_checkpoint(tmp_path, monkeypatch):
    real = nn.Module.__call__
    calls = 0

    def call(module, *arguments):
        nonlocal calls
        result = real(module, *arguments)
        if type(module).__name__ == "CNN":
            calls += 1
            if calls > 25 and module.training:
                return result * math.nan
        return result

    monkeypatch.setattr(nn.Module, "__call__", call)
    run = RunForTests(tmp_path, "train.epochs=5").train()
    state = run.live_state
    assert (state.status, run.engine.exit_code) == ("failed", 4)
    assert re.match(r"training loss became nan at step \d+ of epoch 2", state.finished.error)
    assert FAILURE.fullmatch(event_letters(run.events()))
    best = checkpoint.load(run.directory.path / "best.pt", torch.device("cpu"))
    assert best["epoch"] == 1
    assert all(torch.isfinite(tensor.float()).all() for tensor in best["model"].values())
    assert read_state(run.directory)[0].status == "failed"


def test_missing_images_fail_run_with_reason(tmp_path):
    run = RunForTests(
        tmp_path, "data.source=folder", f"data.path='{tmp_path / 'nowhere'}'", preset="folder"
    ).train()
    assert (run.live_state.status, run.engine.exit_code) == ("failed", 3)
    assert "nowhere: is not a folder" in run.live_state.finished.error
    assert FAILURE.fullmatch(event_letters(run.events()))


def test_internal_error_writes_traceback_to_console_log(tmp_path, monkeypatch):
    def fail(*_arguments, **_options):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("cnn_engine.training.setup.build_model", fail)
    run = RunForTests(tmp_path).train()
    assert (run.live_state.status, run.engine.exit_code) == ("failed", 1)
    assert "internal error: ZeroDivisionError: on purpose" in run.live_state.finished.error
    assert "Traceback" in run.directory.console.read_text()


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory_is_reported(tmp_path, monkeypatch, error):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr("cnn_engine.training.learner.cross_entropy", fail)
    run = RunForTests(tmp_path).train()
    assert (run.live_state.status, run.engine.exit_code) == ("failed", 4)
    assert "out of memory" in run.live_state.finished.error


def test_failed_checkpoint_is_a_notice(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_atomically", refuse)
    run = RunForTests(tmp_path, "train.epochs=2").train()
    texts = [notice.text for notice in run.live_state.notices]
    assert "best.pt could not be saved: No space left on device; there is none yet" in texts
    assert run.live_state.checkpoints == []
    assert run.live_state.status == "done"
    assert any("the test uses the weights of the last epoch" in text for text in texts)


def test_test_reports_epoch_of_best_checkpoint_on_disk(tmp_path, monkeypatch):
    losses, saves = iter([3.0, 1.0, 2.0]), []
    validate, write = Trainer._validate, checkpoint.write_atomically

    def fail_second_best(path, content, **options):
        saves.append(path.name)
        if path.name == "best.pt" and saves.count("best.pt") == 2:
            raise OSError(28, "No space left on device")
        write(path, content, **options)

    monkeypatch.setattr(checkpoint, "write_atomically", fail_second_best)
    monkeypatch.setattr(
        Trainer, "_validate", lambda trainer: replace(validate(trainer), loss=next(losses))
    )
    run = RunForTests(tmp_path, "train.epochs=3").train()
    state = run.live_state
    best = checkpoint.load(run.directory.path / "best.pt", torch.device("cpu"))
    assert (best["epoch"], best["best_value"]) == (3, 2.0)
    assert (state.best.epoch, state.best_checkpoint_epoch, state.test.epoch) == (2, 3, 3)
    assert [notice.text for notice in state.notices] == [
        "best.pt could not be saved: No space left on device; that of epoch 1 is kept",
        "The test uses the weights of epoch 3 in best.pt, not those of epoch 2, which has the "
        "lowest validation loss",
    ]


def test_same_seed_gives_same_run(tmp_path):
    first, repeated, other = (
        RunForTests(tmp_path, "train.epochs=2", f"train.seed={seed}").train().live_state
        for seed in (5, 5, 6)
    )
    results = [
        [(epoch.train_loss, epoch.val_loss, epoch.correct) for epoch in state.epochs]
        for state in (first, repeated, other)
    ]
    assert results[0] == results[1]
    assert results[0] != results[2]


@pytest.mark.parametrize("size", [1, 7, 144, 5000])
def test_any_batch_size_trains(tmp_path, size):
    settings = ("train.epochs=1", "data.validation_fraction=0.9", f"train.batch_size={size}")
    run = RunForTests(tmp_path, *settings).train()
    assert run.live_state.status == "done"
    assert run.live_state.prepared.train_images == 144
    assert run.live_state.steps_per_epoch == math.ceil(144 / size)


# An independent implementation of the published procedure.


class Published(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.conv = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in [(1, 32), (32, 64), (64, 128)]
        )
        self.norm = nn.ModuleList(nn.BatchNorm2d(size) for size in (32, 64, 128))
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in [(2048, 256), (256, 128)])
        self.last = nn.Linear(128, 10)
        self.dropout = Dropout(dropout)  # the same random numbers as the engine's

    def forward(self, x):
        for conv, norm in zip(self.conv, self.norm, strict=True):
            x = max_pool2d(relu(norm(conv(x))), 2)
        x = x.flatten(1)
        for dense in self.dense:
            x = self.dropout(relu(dense(x)))
        return self.last(x)

    def in_order(self):
        """Return the parameters in the order of the forward pass."""
        blocks = [module for pair in zip(self.conv, self.norm, strict=True) for module in pair]
        modules = [*blocks, *self.dense, self.last]
        return [parameter for module in modules for parameter in module.parameters()]


@pytest.mark.parametrize(
    ("dropout", "batch_size", "tolerance"),
    [(0.5, 384, 1e-3), (0.0, 64, 2e-2)],
)
def test_loop_matches_published_procedure(tmp_path, dropout, batch_size, tolerance):
    """Equal initial weights, order and dropout give equal losses, except for rounding.

    The first three steps agree closely. Adam then amplifies rounding errors, differently on each
    processor, so the mean of 18 steps agrees to 2 % only.
    """
    overrides = ["train.epochs=1", "train.precision=fp32", "data.image_size=32"]
    overrides += [f"model.dropout={dropout}", f"train.batch_size={batch_size}"]
    run = RunForTests(
        tmp_path, *overrides, "model.filters=[32, 64, 128]", "model.hidden=[256, 128]"
    ).train()
    config = load_config("digits", overrides)
    data = load_dataset(config.data, 0, lambda *_: None)
    torch.manual_seed(0)
    built = build_model(config.model, 1, 32, 10)
    state = torch.get_rng_state()  # of the engine after it has built the model
    model = Published(dropout)
    with torch.no_grad():
        for parameter, initial in zip(model.in_order(), built.parameters(), strict=True):
            parameter.copy_(initial)
    torch.set_rng_state(state)
    expected = train_published_epoch(model, data, batch_size)
    assert run.live_state.epochs[0].train_loss == pytest.approx(expected, rel=tolerance)


def normalize(data, indices):
    return (data.images[indices].permute(0, 3, 1, 2) / 255 - 0.5) / 0.5


def train_published_epoch(model, data, batch_size):
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    total = 0.0
    for indices in epoch_order(data.train, seed=0, epoch=1).split(batch_size):
        optimizer.zero_grad()
        loss = cross_entropy(model(normalize(data, indices)), data.labels[indices])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(indices)
    return total / len(data.train)
