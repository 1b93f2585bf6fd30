"""Steps and epochs of loops, by what they log."""

import pytest

from cnn_engine.runs.summary import read_state
from recorded_loops import LoopForTests, recorded_loop


def of_kind(logged, kind):
    return [event for event in logged if isinstance(event, kind)]


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
