"""Series that share a chart, by their names."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_tui.charts.loss import TRAIN, VAL
from cnn_tui.charts.metric_groups import groups_of


def labels(*names):
    """Return the labels of the lines of each chart by its title."""
    return {group.title: [line.label for line in group.lines] for group in groups_of(names)}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("val/loss train/loss", {"loss": ["train", "val"]}),
        ("Loss/train Loss/test Loss/val", {"Loss": ["train", "val", "test"]}),
        ("loss val_loss", {"loss": ["train", "val"]}),
        ("trainAcc validAccuracy", {"Acc": ["train", "valid"]}),
        (
            "train_loss_step train_loss_epoch val_loss",
            {"loss": ["train step", "train epoch", "val"]},
        ),
        ("f1_step f1_epoch", {"f1": ["step", "epoch"]}),
        ("train_runtime eval_runtime", {"runtime": ["train", "eval"]}),
        ("val/top1 val/top5", {"val/top1": [""], "val/top5": [""]}),
        ("a/b a_b", {"a/b": [""], "a_b": [""]}),
        ("layer.0.weight layer.1.weight", {"layer.0.weight": [""], "layer.1.weight": [""]}),
        ("train/val_gap val/gap", {"train/val_gap": [""], "val/gap": [""]}),
        ("weights/std_dev weights/std", {"weights/std_dev": [""], "weights/std": [""]}),
        ("s_per_step s_per_epoch", {"s_per_step": [""], "s_per_epoch": [""]}),
        ("time/step time/epoch epoch", {"time/step": [""], "time/epoch": [""], "epoch": [""]}),
        ("train val", {"train": [""], "val": [""]}),
        ("train/loss trainLoss", {"loss": ["train/loss", "trainLoss"]}),
    ],
)
def test_series_of_the_same_quantity_share_a_chart(names, expected):
    assert labels(*names.split()) == expected


def test_loss_accuracy_and_rate_come_first_and_related_names_together():
    names = "grad/a time grad_norm val/acc grad/b lr/1 train/loss lr/0 val/loss other/x train/acc"
    titles = [group.title for group in groups_of(names.split())]
    assert titles == "loss acc lr/0 lr/1 grad/a grad/b time grad_norm other/x".split()


def test_training_and_validation_have_the_colours_of_the_loss_chart():
    groups = groups_of(["train/loss", "val/loss", "test/loss", "val/f1", "norm"])
    (train, val, test), (f1,), (norm,) = (group.lines for group in groups)
    assert [train.style, val.style, f1.style, norm.style] == [TRAIN, VAL, VAL, TRAIN]
    assert test.style not in {TRAIN, VAL}
    assert [train.mark, val.mark, test.mark] == ["", "○", "×"]


@given(st.lists(st.text(alphabet="train/vl_.E losep0é\x1b", max_size=12), unique=True, max_size=12))
def test_every_series_is_on_one_chart(names):
    lines = [line for group in groups_of(names) for line in group.lines]
    assert sorted(line.name for line in lines) == sorted(names)


def test_chart_of_a_series_does_not_depend_on_the_order():
    names = "train/loss val/loss loss Loss_train a/x b/x train_a/x".split()
    expected = {frozenset(line.name for line in group.lines) for group in groups_of(names)}
    random.Random(0).shuffle(names)
    assert {frozenset(line.name for line in group.lines) for group in groups_of(names)} == expected
