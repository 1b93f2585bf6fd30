"""Early stopping, time budgets, validation in some or no epochs, test-time augmentation."""

import math
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import pad

from cnn_engine.checkpoints import checkpoint
from cnn_engine.evaluation.tta import TTAModel
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.training import final_test
from cnn_engine.training.budget import Costs, epochs_within
from cnn_engine.training.control import Control
from cnn_engine.training.learner import Learner
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.headless.printer import LinePrinter
from grammar import COMPLETION, event_letters
from pilot import screen_text, settle
from runs_for_tests import RunForTests

# Early stopping.


def test_patience_ends_training(tmp_path):
    # With this learning rate only the first epochs improve.
    settings = ("train.epochs=50", "train.patience=2", "optimizer.lr=0.3")
    run = RunForTests(tmp_path, *settings).train()
    state = run.live_state
    assert (state.status, run.engine.exit_code) == ("done", 0)
    best, done = state.best.epoch, len(state.epochs)
    assert done == best + 2 < 50
    assert state.total_epochs == done
    (command,) = state.commands
    assert (command.command, command.by, command.value) == ("epochs", "patience", done)
    assert f"no epoch was better than {best} for 2 epochs" in state.notices[-1].text
    assert state.test.epoch == best
    assert COMPLETION.fullmatch(event_letters(run.events()))


def test_resume_after_early_stopping_only_tests(tmp_path, monkeypatch):
    settings = ("train.epochs=50", "train.patience=1", "optimizer.lr=0.3")
    run = RunForTests(tmp_path, *settings)
    with monkeypatch.context() as patches:
        patches.setattr("cnn_engine.training.trainer.run_test", lambda *_, **__: 1 / 0)
        run.train()
    assert run.live_state.status == "failed"
    done = len(run.live_state.epochs)
    run.resume()
    assert (run.live_state.status, len(run.live_state.epochs)) == ("done", done)


# Time budget, with a simulated clock.

STEP, VALIDATION, TEST = 1.0, 6.0, 8.0


@pytest.fixture
def clock(monkeypatch):
    """Replace the clock by one that only training steps and evaluations advance."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(Control, "clock", lambda _: clock.now)

    def advance(owner, name, seconds):
        real = getattr(owner, name)

        def timed(*arguments):
            clock.now += seconds
            return real(*arguments)

        monkeypatch.setattr(owner, name, timed)

    advance(Learner, "train_step", STEP)
    advance(Learner, "evaluate", VALIDATION)
    advance(final_test, "evaluate_test_set", TEST)
    return clock


@pytest.mark.parametrize("seconds", [120, 250, 251, 500])
def test_run_ends_within_the_budget_and_uses_all_of_it(tmp_path, clock, seconds):
    run = RunForTests(tmp_path, f"train.budget_seconds={seconds}", "train.epochs=1000").train()
    state, epoch = run.live_state, 18 * STEP + VALIDATION
    assert state.status == "done"
    assert clock.now <= seconds
    assert seconds * 0.97 - clock.now < epoch  # another epoch would not fit
    assert len(state.epochs) == state.total_epochs
    assert {command.by for command in state.commands} == {"budget"}
    text = state.notices[0].text
    assert text.startswith(f"The time budget of {seconds} s allows ")
    assert COMPLETION.fullmatch(event_letters(run.events()))


def test_budget_below_one_epoch_trains_one_epoch(tmp_path, clock):
    run = RunForTests(tmp_path, "train.budget_seconds=10", "train.epochs=1000").train()
    assert (run.live_state.status, len(run.live_state.epochs)) == ("done", 1)


def test_budget_includes_earlier_sessions(tmp_path, clock):
    run = RunForTests(tmp_path, "train.budget_seconds=250", "train.epochs=1000")
    run.send("stop-epoch")
    run.train()
    assert len(run.live_state.epochs) == 1
    spent = clock.now
    # The log has the duration by the real clock: replace it by the simulated one.
    lines = run.directory.events.read_text().splitlines()
    last = run.events()[-1]
    lines[-1] = lines[-1].replace(f'"seconds":{last.seconds}', f'"seconds":{spent + 100.0}')
    run.directory.events.write_text("\n".join(lines) + "\n")
    clock.now = 0.0
    run.resume()
    assert run.live_state.status == "done"
    assert spent + 100 + clock.now <= 250
    assert len(run.live_state.epochs) == 1 + int((250 * 0.97 - spent - 100 - 14) / 24 + 6 / 24)


@pytest.mark.parametrize(
    ("seconds", "every", "expected"),
    [(0, 1, 0), (35, 1, 0), (90, 1, 2), (90, 5, 3), (1000, 1, 39)],
)
def test_epochs_within_counts_the_epochs_that_fit(seconds, every, expected):
    costs = Costs(step=1.0, validation=6.0, test=8.0)
    assert epochs_within(seconds, costs, 10, 18, every) == expected


# Validation in some or no epochs.


def test_stop_after_epoch_validates_the_epoch(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=9", "train.validate_every=4")
    run.send("stop-epoch")
    run.train()
    assert run.live_state.status == "stopped"
    assert [epoch.is_validated for epoch in run.live_state.epochs] == [True]


def test_last_epoch_of_a_budget_is_validated(tmp_path, clock):
    settings = ("train.budget_seconds=250", "train.epochs=1000", "train.validate_every=50")
    run = RunForTests(tmp_path, *settings).train()
    state = run.live_state
    assert len(state.epochs) % 50  # the last epoch would not be validated by itself
    assert state.epochs[-1].is_validated
    assert state.test.epoch == len(state.epochs)


def test_validate_every_skips_epochs_but_not_the_last(tmp_path):
    settings = ("train.epochs=5", "train.validate_every=2")
    run = RunForTests(tmp_path, *settings).train()
    always_validated = RunForTests(tmp_path, "train.epochs=5").train()
    state = run.live_state
    assert [epoch.epoch for epoch in state.validated_epochs] == [2, 4, 5]
    expected = {epoch.epoch: epoch for epoch in always_validated.live_state.epochs}
    for epoch in state.epochs:
        assert epoch.train_loss == expected[epoch.epoch].train_loss
        if epoch.is_validated:
            assert epoch.correct == expected[epoch.epoch].correct
        else:
            assert math.isnan(epoch.val_loss)
            assert math.isnan(epoch.val_accuracy)
    assert [bool(epoch.confusion) for epoch in state.validated_epochs] == [False, False, True]
    assert COMPLETION.fullmatch(event_letters(run.events()))
    assert repr(read_state(run.directory)[0]) == repr(state)  # as text, because NaN != NaN


def test_without_validation_images_the_last_epoch_is_tested(tmp_path, capsys):
    run = RunForTests(tmp_path, "train.epochs=2", "data.validation_fraction=0.0").train()
    state = run.live_state
    assert (state.status, state.best, state.test.epoch) == ("done", None, 2)
    assert state.prepared.val_images == 0
    assert state.prepared.train_images == 1151 + 287
    best, last = (
        checkpoint.load(run.directory.path / file, torch.device("cpu"))["model"]
        for file in ("best.pt", "last.pt")
    )
    assert all(torch.equal(best[name], last[name]) for name in last)
    assert COMPLETION.fullmatch(event_letters(run.events()))
    summary = read_summary(run.directory)
    assert (summary.best_epoch, summary.best_val_loss) == (None, None)
    lines = printed_lines(run, capsys)
    assert any(line.startswith("Epoch: 2/2 | Time: ") for line in lines)
    assert not any("alidation" in line for line in lines)


def printed_lines(run, capsys):
    """Return the lines that the events of a run print."""
    printer, state = LinePrinter(sys.stdout, sys.stderr), type(run.live_state)()
    for event in run.events():
        state.apply(event)
        printer.show(event, state)
    return capsys.readouterr().out.splitlines()


def test_validation_fraction_without_images_is_refused(tmp_path):
    run = RunForTests(tmp_path, "data.validation_fraction=0.0001").train()
    assert run.engine.exit_code == 3
    assert "too few for a validation split" in run.live_state.finished.error


SIZES = [(200, 60), (120, 36), (80, 24), (60, 20), (40, 12)]


@pytest.mark.parametrize("setting", ["train.validate_every=2", "data.validation_fraction=0.0"])
async def test_screens_show_no_nan(tmp_path, setting):
    run = RunForTests(tmp_path, "train.epochs=3", "evaluate.tta=mirror", setting).train()
    lines = run.directory.events.read_text().splitlines(keepends=True)
    untested = [line for line in lines if '"kind":"TestFinished"' not in line][:-1]
    for log in (lines, untested):
        run.directory.events.write_text("".join(log))
        async with Dashboard(RunScreen(run.directory)).run_test(size=SIZES[0]) as pilot:
            for size in SIZES:
                await pilot.resize_terminal(*size)
                for key in ("1", "2", "3", "4", "5"):
                    await pilot.press(key)
                    await settle(pilot)
                    assert screen_text(pilot.app).strip()
                    assert "nan" not in screen_text(pilot.app).lower()


# Test-time augmentation.


def test_tta_accuracy_is_reported_beside_the_plain_one(tmp_path, capsys):
    settings = ("train.epochs=2", "evaluate.tta=mirror")
    run = RunForTests(tmp_path, *settings).train()
    plain = RunForTests(tmp_path, "train.epochs=2").train()
    test = run.live_state.test
    assert (test.loss, test.correct) == (plain.live_state.test.loss, plain.live_state.test.correct)
    assert test.tta == "mirror"
    assert sum(test.tta_correct) <= sum(test.total)
    assert test.tta_loss != test.loss
    assert plain.live_state.test.tta_accuracy is None
    assert read_summary(run.directory).tta_accuracy == test.tta_accuracy
    text = f"Test Accuracy with test-time augmentation (mirror): {100 * test.tta_accuracy:.2f}%"
    assert text in printed_lines(run, capsys)
    assert not any("augmentation" in line for line in printed_lines(plain, capsys))


def test_tta_logits_are_weighted_means_over_flips_and_shifts():
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(4, 3 * 8 * 8, generator=torch.Generator().manual_seed(1))

    class Linear(torch.nn.Module):
        def forward(self, images):
            return images.flatten(1) @ weights.T

    model = Linear()
    padded = pad(images, (1, 1, 1, 1), mode="reflect")
    shifted = [images, padded[:, :, :8, :8], padded[:, :, 2:, 2:]]
    mirrored = [(model(batch) + model(batch.flip(3))) / 2 for batch in shifted]
    torch.testing.assert_close(TTAModel(model, "mirror")(images), mirrored[0])
    torch.testing.assert_close(
        TTAModel(model, "mirror-shift")(images),
        mirrored[0] / 2 + mirrored[1] / 4 + mirrored[2] / 4,
    )
