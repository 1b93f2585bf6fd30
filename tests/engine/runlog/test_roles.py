"""Roles of imported series, guessed from their names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_engine.runlog.roles import ROLES, roles_of

TRAIN_AND_VAL_LOSS = {"train_loss": 0, "val_loss": 1}


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["loss", "val_loss"], TRAIN_AND_VAL_LOSS),
        (["Loss/train", "Loss/test"], TRAIN_AND_VAL_LOSS),
        (["trainLoss", "valLoss"], TRAIN_AND_VAL_LOSS),
        (
            ["Train Loss", "Valid Loss", "Train Acc.", "Valid Acc."],
            {**TRAIN_AND_VAL_LOSS, "train_accuracy": 2, "val_accuracy": 3},
        ),
        (
            ["train/epoch_loss", "validation/epoch_loss", "train/epoch_accuracy"],
            {**TRAIN_AND_VAL_LOSS, "train_accuracy": 2},
        ),
        (["val/loss", "test/loss"], {"val_loss": 0}),
        # add_scalars of PyTorch's tutorial: the directory's last word decides
        (
            [
                "Training vs. Validation Loss_Training/Training vs. Validation Loss",
                "Training vs. Validation Loss_Validation/Training vs. Validation Loss",
            ],
            TRAIN_AND_VAL_LOSS,
        ),
        (["Loss_train/Loss", "Loss_val/Loss"], TRAIN_AND_VAL_LOSS),
        (["loss/train vs val_train/loss/train vs val"], {"train_loss": 0}),
        # a run's name beside the series' own: the series decides
        (["test-run/Loss/train", "test-run/Loss/val"], TRAIN_AND_VAL_LOSS),
        (["train-resnet - train_loss", "train-resnet - val_loss"], TRAIN_AND_VAL_LOSS),
        # Keras
        (
            ["accuracy", "loss", "val_accuracy", "val_loss"],
            {"train_loss": 1, "val_loss": 3, "train_accuracy": 0, "val_accuracy": 2},
        ),
        (["accuracy", "loss"], {"train_loss": 1, "train_accuracy": 0}),
        (
            ["sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy", "loss"],
            {"train_loss": 2, "train_accuracy": 0},
        ),
        # Ultralytics, fastai: an accuracy without a split beside the validation loss
        (
            [
                "train/loss",
                "metrics/accuracy_top1",
                "metrics/accuracy_top5",
                "val/loss",
                "lr/pg0",
                "lr/pg1",
            ],
            {"train_loss": 0, "val_loss": 3, "val_accuracy": 1, "lr": 4},
        ),
        (["train_loss", "valid_loss", "accuracy"], {**TRAIN_AND_VAL_LOSS, "val_accuracy": 2}),
        (
            ["train_loss", "valid_loss", "acc", "valid_acc"],
            {**TRAIN_AND_VAL_LOSS, "train_accuracy": 2, "val_accuracy": 3},
        ),
        # timm
        (
            ["train_loss", "eval_loss", "eval_top1", "eval_top5", "lr"],
            {**TRAIN_AND_VAL_LOSS, "val_accuracy": 2, "lr": 4},
        ),
        # DeiT, MAE
        (
            ["train_lr", "train_loss", "test_loss", "test_acc1", "test_acc5", "n_parameters"],
            {"train_loss": 1, "val_loss": 2, "val_accuracy": 3, "lr": 0},
        ),
        # Lightning: steps for the curve, means over the epoch for the rest
        (
            ["train_loss_step", "train_loss_epoch", "val_loss_step", "val_loss_epoch"],
            {"train_loss": 0, "val_loss": 3},
        ),
        (
            ["train_acc_epoch", "train_acc_step", "lr-Adam", "lr-Adam/pg2"],
            {"train_accuracy": 0, "lr": 2},
        ),
        # Hugging Face
        (
            ["loss", "grad_norm", "learning_rate", "eval_loss", "eval_accuracy"],
            {"train_loss": 0, "val_loss": 3, "val_accuracy": 4, "lr": 2},
        ),
        (
            ["train/loss", "train/learning_rate", "eval/loss", "eval/accuracy", "train/train_loss"],
            {"train_loss": 0, "val_loss": 2, "val_accuracy": 3, "lr": 1},
        ),
        (["top-1 accuracy (val)", "Acc@5 val", "Acc@1 val"], {"val_accuracy": 2}),
        (["train/box_loss", "train/loss"], {"train_loss": 1}),
        (["learning_rate", "lr-Adam"], {"lr": 0}),
        (["accuracy/top1", "closs", "glossy", "flare"], {"train_accuracy": 0}),
        # not the quantity itself
        (["best_val_acc", "val_acc"], {"val_accuracy": 1}),
        (
            [
                "loss_scale",
                "top1_error",
                "hparam/accuracy",
                "val_loss_std",
                "min_lr",
                "best_acc",
                "top5",
                "val/accuracy_of_class/cat",
            ],
            {},
        ),
        (["val_loss__MIN", "val_loss__MAX", "val_loss"], {"val_loss": 2}),
    ],
)
def test_roles_follow_from_series_names(names, roles):
    """The split follows from the most specific word of a name (ultralytics#14577)."""
    assert roles_of(names).assigned == {role: names[index] for role, index in roles.items()}


def test_role_stays_free_if_several_series_may_have_it():
    roles = roles_of(["train/loss", "val/box_loss", "val/cls_loss", "val/acc"])
    assert roles.assigned == {"train_loss": "train/loss", "val_accuracy": "val/acc"}
    assert roles.unclear == {"val_loss": ["val/box_loss", "val/cls_loss"]}


def test_value_loss_of_reinforcement_learning_is_one_of_several():
    found = roles_of(["losses/policy_loss", "losses/value_loss", "episode/reward"])
    assert found.assigned == {}
    assert found.unclear == {"train_loss": ["losses/value_loss", "losses/policy_loss"]}


def test_chosen_series_replace_guessed_ones():
    names = ["train/loss", "val/box_loss", "val/cls_loss", "acc"]
    roles = roles_of(names, {"val_loss": "val/cls_loss", "train_accuracy": ""})
    assert roles.assigned == {"train_loss": "train/loss", "val_loss": "val/cls_loss"}
    roles = roles_of(names, {"train_accuracy": "acc", "val_loss": "val/cls_loss"})
    assert roles.assigned["train_accuracy"] == "acc"


@given(st.lists(st.text(), max_size=6))
def test_any_names_have_at_most_one_role(names):
    roles = roles_of(names)
    assert len(set(roles.assigned.values())) == len(roles.assigned)
    assert {*roles.assigned, *roles.unclear} <= set(ROLES)
    assert set(roles.assigned.values()) <= set(names)
