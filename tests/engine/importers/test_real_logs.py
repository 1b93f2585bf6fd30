"""Import of logs that the libraries themselves wrote, kept in `tests/data/imports`.

A linear model was trained for three epochs on random points of three classes:

- `lightning/`: Lightning 2.6 with `CSVLogger`, `LearningRateMonitor`, `save_hyperparameters()`,
  `log_every_n_steps=20`, 80 steps an epoch; `train_loss` logged with `on_step` and `on_epoch`
- `tensorboard/`: the same with `TensorBoardLogger`
- `trainer_state.json`: the Trainer of transformers 5 with `logging_steps=10`,
  `eval_strategy="epoch"`, 25 steps an epoch
- `transformers/`: the same without evaluation, with `report_to="tensorboard"`
- `keras.csv`: `CSVLogger` of Keras 3
"""

import json

import pytest

from cnn_engine.runs.filter import parse
from cnn_engine.runs.summary import read_state, read_summary
from golden import DATA
from imports_for_tests import import_run, import_text, notices_of

LOGS = DATA / "imports"
LIGHTNING_ROLES = [
    "train_loss_step is used as training loss",
    "val_loss is used as validation loss",
    "val_acc is used as validation accuracy",
    "lr-SGD is used as learning rate",
]
LIGHTNING_SETTINGS = {"lr": 0.1, "hidden": 8, "name": "small net: a"}


@pytest.mark.parametrize("log", ["lightning", "tensorboard"])
def test_lightning(tmp_path, log):
    run = import_run(tmp_path, LOGS / log)
    state, _ = read_state(run)
    assert state.steps_per_epoch == 80
    assert list(state.curve.steps) == list(range(19, 240, 20))
    accuracies = [epoch.val_accuracy for epoch in state.epochs]
    assert accuracies == pytest.approx([0.7875, 0.8375, 0.8875])
    assert [epoch.train_loss for epoch in state.epochs] == pytest.approx(
        [0.838, 0.616, 0.511], abs=1e-3
    )
    assert list(state.series["val_f1"].curve.steps) == [79, 159, 239]
    assert state.series["train_loss_epoch"].last == pytest.approx(0.44764, abs=1e-5)
    assert state.config["config"].items() >= LIGHTNING_SETTINGS.items()
    assert notices_of(run) == LIGHTNING_ROLES


def test_hugging_face(tmp_path):
    run = import_run(tmp_path, LOGS / "trainer_state.json")
    state, _ = read_state(run)
    assert (state.steps_per_epoch, state.total_epochs) == (25, 3)
    assert list(state.curve.steps) == [10, 20, 30, 40, 50, 60, 70]
    assert [(epoch.epoch, epoch.val_accuracy) for epoch in state.epochs] == [
        (1, 0.8),
        (2, 0.825),
        (3, 0.8),
    ]
    assert list(state.series["grad_norm"].curve.steps) == list(state.curve.steps)
    assert list(state.series["eval_samples_per_second"].curve.steps) == [25, 50, 75]
    assert state.config["config"]["train_batch_size"] == 8


def test_hugging_face_with_tensorboard(tmp_path):
    """The epochs of its series `train/epoch` have fractions; the arguments are a text in JSON."""
    state, _ = read_state(import_run(tmp_path, LOGS / "transformers"))
    assert (state.steps_per_epoch, state.total_epochs) == (25, 3)
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3]
    assert not state.validated_epochs
    assert list(state.curve.steps) == [10, 20, 30, 40, 50, 60, 70]
    assert state.config["config"]["learning_rate"] == 0.05
    assert "train/grad_norm" in state.series


def test_keras(tmp_path):
    state, _ = read_state(import_run(tmp_path, LOGS / "keras.csv"))
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3]
    assert [epoch.train_accuracy for epoch in state.epochs] == pytest.approx(
        [0.4375, 0.44375, 0.45]
    )
    assert [epoch.val_loss for epoch in state.epochs] == pytest.approx(
        [1.237, 1.223, 1.21], abs=1e-3
    )
    assert list(state.series) == ["accuracy", "loss", "val_accuracy", "val_loss"]


def test_runs_are_filtered_by_the_settings_of_the_other_program(tmp_path):
    summary = read_summary(import_run(tmp_path, LOGS / "lightning"))
    for text, matches in (("lr=0.1", True), ("config.hidden>8", False), ("name~small", False)):
        assert parse(text, [summary]).matches(summary) == matches
    assert parse("config.name~small", [summary]).matches(summary)


@pytest.mark.parametrize("epochs", [0, 2])
def test_epochs_without_validation_follow_from_their_fractions(tmp_path, epochs):
    """The Trainer evaluates only if asked to; old versions round the epoch to two digits."""
    rows = [
        {"epoch": round(step / 333, 2), "step": step, "loss": 2 - step / 999}
        for step in range(50, 1000, 50)
    ]
    state = {"log_history": rows, "max_steps": 999, "num_train_epochs": 3}
    if not epochs:
        del state["max_steps"]
    found, _ = read_state(import_text(tmp_path, json.dumps(state), "trainer_state.json"))
    assert found.steps_per_epoch == (333 if epochs else pytest.approx(333, abs=2))
    assert [epoch.epoch for epoch in found.epochs] == [1, 2]
    assert not found.validated_epochs


def test_validations_within_epochs_do_not_add_epochs(tmp_path):
    """The Trainer, evaluating every 10 steps, ends in the middle of the last epoch."""

    def imported(rows):
        rows = sorted(rows, key=lambda row: row["step"])
        log = {"log_history": rows, "max_steps": 30, "num_train_epochs": 8}
        return read_state(import_text(tmp_path, json.dumps(log), "trainer_state.json"))[0]

    rows = [{"epoch": step / 4, "step": step, "loss": 1 / step} for step in range(2, 31, 2)]
    rows += [{"epoch": step / 4, "step": step, "eval_loss": 2 / step} for step in (10, 20, 30)]
    state = imported(rows)
    assert (state.steps_per_epoch, state.total_epochs) == (4, 8)
    assert [epoch.epoch for epoch in state.epochs] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [epoch.epoch for epoch in state.validated_epochs] == [3, 5, 8]
    rows += [{"epoch": step / 4, "step": step, "eval_loss": 2 / step} for step in range(1, 30)]
    several = imported(rows)
    assert (several.steps_per_epoch, several.total_epochs, len(several.epochs)) == (1, 0, 30)
