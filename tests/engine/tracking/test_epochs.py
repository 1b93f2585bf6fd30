"""Steps and epochs of loops, by what they log."""

import math
import time

import pytest

from cnn_engine.runlog import events
from cnn_engine.runs.history import read_steps
from cnn_engine.runs.summary import read_state
from recorded_loops import LoopForTests, recorded_loop
from runs_for_tests import events_of


def test_epochs_and_steps_are_recorded_with_losses_and_accuracies(tmp_path):
    run = recorded_loop(tmp_path, 3, name="mine", config={"lr": 0.1})
    state, damaged = read_state(run)
    assert not damaged
    assert (state.status, state.total_epochs, state.steps_per_epoch) == ("done", 3, 10)
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3]
    last = state.epochs[-1]
    assert last.val_loss == pytest.approx(1.1 / 3)
    assert last.val_accuracy == pytest.approx(1 - 0.5 / 3)
    assert last.train_loss == pytest.approx(sum(1 / (3 + step / 10) for step in range(10)) / 10)
    assert (state.epoch, state.step, state.steps_done) == (3, 10, 30)
    assert list(state.series) == ["train/loss", "grad/norm", "lr", "val/loss", "val/accuracy"]
    assert state.series["val/loss"].curve.steps.tolist() == [10, 20, 30]
    assert state.lr == 0.1
    assert state.config == {"config": {"lr": 0.1}}


def logged(tmp_path, calls, **plan):
    loop = LoopForTests(tmp_path, **plan)
    for values in calls:
        loop.run.log(values)
    loop.finish()
    return read_state(loop.directory)[0]


TRAIN = {"loss": 1.0}
VAL = {"val_loss": 0.5}


@pytest.mark.parametrize(
    ("calls", "plan", "epochs", "length"),
    [
        pytest.param([TRAIN] * 4, {}, [], 0, id="steps only"),
        pytest.param([TRAIN, TRAIN, VAL] * 3, {}, [1, 2, 3], 2, id="validation ends an epoch"),
        pytest.param([VAL, *[TRAIN, TRAIN, VAL] * 2], {}, [1, 2], 2, id="validation before steps"),
        pytest.param([TRAIN | VAL] * 3, {}, [1, 2, 3], 1, id="a call per epoch"),
        pytest.param([VAL] * 3, {}, [1, 2, 3], 1, id="validations only"),
        pytest.param(
            [TRAIN | {"epoch": epoch} for epoch in (0, 0, 1, 1, 2, 2)],
            {},
            [1, 2, 3],
            2,
            id="epoch from 0",
        ),
        pytest.param(
            [TRAIN | {"epoch": epoch} for epoch in (1, 1, 2, 2)], {}, [1, 2], 2, id="epoch from 1"
        ),
        pytest.param(
            [TRAIN | {"epoch": epoch / 2} for epoch in range(1, 5)],
            {},
            [1, 2],
            2,
            id="fractions of epochs",
        ),
        pytest.param(
            [call for epoch in range(3) for call in (TRAIN, TRAIN, VAL | {"epoch": epoch})],
            {},
            [1, 2, 3],
            2,
            id="epoch with the validation",
        ),
        pytest.param(
            [call | {"epoch": epoch} for epoch in range(3) for call in (VAL, TRAIN, TRAIN, TRAIN)],
            {},
            [1, 2, 3],
            3,
            id="validation before the training of an epoch",
        ),
        pytest.param(
            [
                TRAIN,
                *[call for epoch in range(3) for call in (TRAIN, VAL | {"epoch": epoch}, TRAIN)],
            ],
            {},
            [1, 2, 3],
            2,
            id="epoch with the validation, before the last step",
        ),
        pytest.param([TRAIN] * 5, {"steps_per_epoch": 2}, [1, 2], 2, id="length given"),
        pytest.param(
            [TRAIN | {"global_step": step} for step in range(4)],
            {"steps_per_epoch": 2},
            [1, 2],
            2,
            id="steps from 0",
        ),
    ],
)
def test_epochs_are_found_from_what_is_logged(tmp_path, calls, plan, epochs, length):
    state = logged(tmp_path, calls, **plan)
    assert [epoch.epoch for epoch in state.epochs] == epochs
    assert state.steps_per_epoch == length


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("joint", [True, False])
def test_validation_at_the_first_step_tells_nothing_of_the_length(tmp_path, numbered, joint):
    loop = LoopForTests(tmp_path)
    for step in range(50):
        number = step if numbered else None
        validates = step % 10 == 0
        loop.run.log({"loss": 1.0} | ({"val/loss": step} if validates and joint else {}), number)
        if validates and not joint:
            loop.run.log({"val/loss": step}, number)
        if step % 3 == 0:
            loop.flush()
    state, _ = read_state(loop.finish())
    assert [(epoch.epoch, epoch.val_loss) for epoch in state.epochs] == [
        (1, 10),
        (2, 20),
        (3, 30),
        (4, 40),
    ]
    assert (state.steps_per_epoch, state.epoch) == (10, 5)
    assert state.steps_done == 49 + (not numbered)
    curve = state.series["val/loss"].curve.steps.tolist()
    assert curve[-1] in (40, 41, 42)
    assert state.end_of(state.epochs[-1]) == 40


@pytest.mark.parametrize(
    ("ends", "length"), [((11, 21, 31, 41), 10), ((10, 15, 37, 40), 0), ((10, 20, 30, 34), 10)]
)
def test_length_is_corrected_or_unknown(tmp_path, ends, length):
    """A last validation, after fewer steps, changes nothing that is known."""
    loop = LoopForTests(tmp_path)
    for step in range(1, ends[-1] + 1):
        loop.run.log({"loss": 1.0})
        loop.flush()
        if step in ends:
            loop.run.log({"val/loss": 1.0})
    state, _ = read_state(loop.finish())
    assert (len(state.epochs), state.steps_per_epoch, state.steps_done) == (4, length, ends[-1])
    assert state.curve.steps.tolist() == list(range(1, ends[-1] + 1))
    exported = [(event.epoch - 1) * length + event.step for event in read_steps(loop.directory)]
    assert exported == state.curve.steps.tolist()
    if not length:
        assert state.end_of(state.epochs[-1]) == 40


def test_steps_are_those_of_the_loop_and_never_go_back(tmp_path, capsys):
    loop = LoopForTests(tmp_path)
    steps = []
    for step in (0, 1, 1, 5, 3, 2, None, 100):
        loop.run.log({"loss": 1.0}, step=step)
        steps.append(loop.run.step)
    assert steps == [0, 1, 1, 5, 6, 7, 8, 100]
    loop.finish()
    assert capsys.readouterr().err.count("step 3 is lower than 5") == 1


@pytest.mark.parametrize("first", [TRAIN, VAL, TRAIN | VAL])
def test_calls_at_the_same_step_are_normal(tmp_path, capsys, first):
    loop = LoopForTests(tmp_path)
    for step in (0, 0, 1, 1, 2):
        loop.run.log(first, step=step)
        loop.run.log({"lr": 0.1, "val/accuracy": 0.5}, step=step)
    loop.finish()
    assert "lower than" not in capsys.readouterr().err


def test_numbers_of_steps_are_ignored_where_steps_counts(tmp_path):
    loop = LoopForTests(tmp_path)
    for step in loop.run.steps(range(3)):
        loop.run.log({"loss": 1.0, "epoch": 0}, step=7 * step)
        assert loop.run.step == step + 1
    state, _ = read_state(loop.finish())
    assert (state.steps_done, len(state.epochs)) == (3, 1)


def test_accuracy_of_each_step_is_no_validation(tmp_path):
    """Its name fits the validation too, once a validation loss is logged."""
    loop = LoopForTests(tmp_path, epochs=3)
    for epoch in range(3):
        for step in range(10):
            loop.run.log({"loss": 1.0, "accuracy": 0.1 * epoch + 0.01 * step})
        loop.run.log({"val_loss": 0.5})
    state, _ = read_state(loop.finish())
    assert [epoch.val_loss for epoch in state.epochs] == [0.5] * 3
    assert [epoch.train_accuracy for epoch in state.epochs] == pytest.approx([0.045, 0.145, 0.245])
    assert state.epochs[-1].accuracy is None


@pytest.mark.parametrize("trains", [False, True])
def test_second_pass_of_an_epoch_counts_if_it_trains(tmp_path, trains):
    """Otherwise it is a validation, as its batches are within `epochs`."""
    loop = LoopForTests(tmp_path)
    for _ in loop.run.epochs(3):
        for _ in loop.run.steps(range(10)):
            loop.run.log({"train/loss": 1.0})
        for _ in loop.run.steps(range(4)):
            loop.run.log({"train/loss" if trains else "val/batch_loss": 1.0})
        loop.run.log({"val/loss": 0.5})
    state, _ = read_state(loop.finish())
    length = 14 if trains else 10
    assert (len(state.epochs), state.steps_per_epoch, state.steps_done) == (3, length, 3 * length)
    assert state.series["val/loss"].curve.steps.tolist() == [length, 2 * length, 3 * length]


@pytest.mark.parametrize("first", [0, 1, None])
def test_epochs_of_values_without_a_role_are_counted(tmp_path, first):
    loop = LoopForTests(tmp_path, epochs=5)
    times = iter(range(100, 1000, 10))
    loop.run._control.clock = lambda: float(next(times))
    for epoch in range(5):
        number = {} if first is None else {"epoch": epoch + first}
        loop.run.log({"val_mse": 1.0, "val_r2": 0.5} | number)
    state, _ = read_state(loop.finish())
    assert (len(state.epochs), state.total_epochs) == (5, 5)
    assert [epoch.train_seconds for epoch in state.epochs[1:]] == [10.0] * 4


def test_a_pass_that_is_left_early_is_an_epoch(tmp_path):
    """As with `limit_batches`: `break` ends a pass, the next one begins an epoch."""
    loop = LoopForTests(tmp_path)
    for _ in range(2):
        for step in loop.run.steps(range(100)):
            loop.run.log({"loss": 1.0})
            if step == 4:
                break
    state, _ = read_state(loop.finish())
    assert ([epoch.epoch for epoch in state.epochs], state.steps_done) == ([1, 2], 10)


def test_last_validation_within_an_epoch_is_that_of_the_epoch(tmp_path):
    loop = LoopForTests(tmp_path)
    for _ in loop.run.epochs(2):
        for step in loop.run.steps(range(4)):
            loop.run.log({"loss": 1.0})
            if step % 2:
                loop.run.log({"val/loss": float(step)})
    state, _ = read_state(loop.finish())
    assert [(epoch.epoch, epoch.val_loss) for epoch in state.epochs] == [(1, 3.0), (2, 3.0)]
    assert state.series["val/loss"].curve.steps.tolist() in ([2, 4, 6, 8], [4, 8])


def test_validation_that_is_logged_by_batch_has_their_mean(tmp_path):
    loop = LoopForTests(tmp_path)
    for _ in range(2):
        loop.run.log({"loss": 1.0})
        for loss in (1.0, 2.0, 6.0):
            loop.run.log({"val/loss": loss})
    state, _ = read_state(loop.finish())
    assert [(epoch.epoch, epoch.val_loss) for epoch in state.epochs] == [(1, 3.0), (2, 3.0)]


@pytest.mark.parametrize("keys", [(), ("epoch",)])
@pytest.mark.parametrize("batches", [1, 2])
def test_counts_belong_to_the_epoch_that_was_logged(tmp_path, keys, batches):
    """They add up over the batches of a validation."""
    loop = LoopForTests(tmp_path)
    for epoch in range(3):
        loop.run.log({"val/loss": 0.5, "loss": 1.0} | dict.fromkeys(keys, epoch))
        loop.flush()
        for batch in range(batches):
            loop.run.validated([0, 1, 1, 0], [0, 1, batch, 0])
    state, _ = read_state(loop.finish())
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3]
    assert {epoch.val_loss for epoch in state.epochs} == {0.5}
    expected = {1: ((2, 1), (2, 2)), 2: ((4, 3), (4, 4))}[batches]
    assert {(epoch.correct, epoch.total) for epoch in state.epochs} == {expected}
    assert state.epochs[-1].confusion == ((1, 0, 1),)


@pytest.mark.parametrize("predicted", [[0.9, 0.2], [float("nan"), 0], [[0.1, 0.9], [0.8, 0.2]]])
def test_counts_of_probabilities_are_refused(tmp_path, capsys, predicted):
    loop = LoopForTests(tmp_path)
    for _ in range(2):
        loop.run.validated([1, 0], predicted)
    loop.finish()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "validated" in line]
    assert "training goes on" in line
    assert "logits.argmax(1), or (p > 0.5).int()" in line


def test_time_for_data_is_measured(tmp_path):
    loop = LoopForTests(tmp_path)

    def slow():
        for number in range(3):
            time.sleep(0.02)
            yield number

    for _ in loop.run.steps(slow()):
        loop.run.log({"loss": 1.0})
    loop.finish()
    steps = events_of(loop.directory, events.StepsFinished)
    assert sum(event.data_seconds for event in steps) >= 0.04  # sleeping takes at least so long


FINAL = ({"final/accuracy": 0.9}, {"best_loss": 0.1}, {"test/accuracy": 0.9})
"""Values that scripts log after the loop."""


@pytest.mark.parametrize("way", ["epochs", "passes", "numbers", "validation"])
def test_values_after_the_loop_are_no_epoch(tmp_path, way):
    loop = LoopForTests(tmp_path)
    run = loop.run
    if way == "epochs":
        loop.train_epochs(2, steps=2)
    for epoch in range(0 if way == "epochs" else 2):
        for _ in run.steps(range(2)) if way == "passes" else range(2):
            run.log({"loss": 1.0} | ({"epoch": epoch} if way == "numbers" else {}))
        run.log({"val/loss": 1.0, "val/accuracy": 0.5})
    for values in FINAL:
        run.log(values, commit=way in ("epochs", "passes"))
    state, _ = read_state(loop.finish())
    assert [epoch.epoch for epoch in state.epochs] == [1, 2]
    assert state.epoch == 2
    assert {"final/accuracy", "best_loss", "test/accuracy"} <= state.series.keys()


def test_resumed_run_finds_its_epochs_in_the_same_way(tmp_path):
    first = LoopForTests(tmp_path)
    for values in [TRAIN, TRAIN, VAL] * 2:
        first.run.log(values)
    second = LoopForTests(tmp_path, resume=first.finish().id)
    for values in [TRAIN, TRAIN, VAL] * 2:
        second.run.log(values)
    state, _ = read_state(second.finish())
    assert [(epoch.epoch, epoch.val_loss) for epoch in state.epochs] == [
        (number, 0.5) for number in (1, 2, 3, 4)
    ]
    assert state.steps_done == 8


def test_epochs_and_steps_that_cannot_be_iterated_raise_as_a_loop_does(tmp_path):
    loop = LoopForTests(tmp_path)
    for wrong in (5, None, object()):
        with pytest.raises(TypeError, match=r"^steps: .* is not iterable; give it the batches"):
            loop.run.steps(wrong)
    for wrong in (math.nan, object(), "3"):
        with pytest.raises(TypeError, match=r"^epochs: .*; give it the number of epochs$"):
            loop.run.epochs(wrong)
    loop.finish()


@pytest.mark.parametrize(("epochs", "seen"), [(-1, []), (2.5, [0, 1]), (2.0, [0, 1])])
def test_wrong_number_of_epochs_is_reported(tmp_path, capsys, epochs, seen):
    loop = LoopForTests(tmp_path)
    assert list(loop.run.epochs(epochs)) == seen
    loop.finish()
    text = f"epochs: a whole number from 0 is expected, not {epochs}; {len(seen)} is used"
    assert (text in capsys.readouterr().err) == (epochs != len(seen))


@pytest.mark.parametrize("has_length", [True, False])
def test_epochs_that_the_loop_gives_are_iterated_as_they_are(tmp_path, has_length):
    loop = LoopForTests(tmp_path, epochs=1)
    epochs = range(5, 8) if has_length else iter(range(5, 8))
    seen = []
    for epoch in loop.run.epochs(epochs):
        seen.append(epoch)
        loop.run.log({"loss": 1.0})
        loop.send("epochs", 9)
    state, _ = read_state(loop.finish())
    assert seen == [5, 6, 7]
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3]
    assert state.total_epochs == (3 if has_length else 0)


def test_impossible_positions_are_ignored_and_reported_once(tmp_path):
    loop = LoopForTests(tmp_path)
    for step in (1 << 62, 10**30, 10**5000, -3):
        loop.run.log({"loss": 1.0}, step=step)
    for epoch in (math.nan, -3, 1e30):
        loop.run.log({"loss": 1.0, "epoch": epoch, "global_step": 1e20})
    state, damaged = read_state(loop.finish())
    assert (state.steps_done, damaged) == (7, 0)
    assert [notice.text for notice in state.notices] == [
        "step 4611686018427387904 is ignored: no run has it; steps are counted",
        "global_step 1e+20 is ignored: no run has it",
        "epoch nan is ignored: no run has it",
    ]
