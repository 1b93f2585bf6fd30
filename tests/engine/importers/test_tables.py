"""Import of CSV logs: epochs, curves, malformed rows."""

import math
import os

import pytest

from cnn_engine.errors import ConfigError, DataError
from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.summary import read_state, read_summary
from imports_for_tests import KERAS, LIGHTNING, import_text, notices_of


def test_table_of_epochs_becomes_epochs(tmp_path):
    state, damaged = read_state(import_text(tmp_path, KERAS))
    assert damaged == 0
    assert [epoch.val_loss for epoch in state.epochs] == [1.8, 1.4]
    assert [epoch.train_loss for epoch in state.epochs] == [2.1, 1.5]
    assert [epoch.train_accuracy for epoch in state.epochs] == [0.3, 0.5]
    assert [epoch.val_accuracy for epoch in state.epochs] == [0.4, 0.55]
    assert list(state.curve.steps) == [1, 2]
    assert (state.steps_per_epoch, state.best.epoch) == (1, 2)


def test_epochs_of_a_table_of_steps_end_at_validations(tmp_path):
    run = import_text(tmp_path, LIGHTNING)
    state, _ = read_state(run)
    assert state.steps_per_epoch == 100
    assert list(state.curve.steps) == [50, 100, 150, 200]
    assert [epoch.train_loss for epoch in state.epochs] == [2.0, pytest.approx(1.65)]
    assert [epoch.val_accuracy for epoch in state.epochs] == [0.4, 0.5]
    assert state.lr == 0.002
    assert notices_of(run) == [
        "train_loss is used as training loss",
        "val_loss is used as validation loss",
        "val_acc is used as validation accuracy",
        "lr-Adam is used as learning rate",
        "Not shown: gpu",
    ]


def test_losses_without_steps_become_a_curve(tmp_path):
    run = import_text(tmp_path, "loss\n3\n2\n\n1\nnan\n")
    state, _ = read_state(run)
    assert list(state.curve.steps) == [1, 2, 3, 4]
    assert list(state.curve.losses)[:3] == [3.0, 2.0, 1.0]
    assert math.isnan(state.curve.losses[3])
    assert state.epochs == []


def test_unknown_values_are_absent(tmp_path):
    run = import_text(tmp_path, KERAS)
    state, _ = read_state(run)
    assert (state.prepared, state.config, state.test, state.lr) == (None, {}, None, None)
    assert state.images_per_second is None
    summary = read_summary(run)
    assert (summary.device, summary.precision, summary.train_images) == ("", "", 0)
    only_losses = import_text(tmp_path, "loss,val_loss\n2,1\n1,1\n")
    assert read_summary(only_losses).best_val_accuracy is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "contains no values"),
        ("epoch,loss\n", "contains no values"),
        ("1,2\n3,4\n", "first line must name the columns"),
        ("a,b\n1,2\n", "no series is a loss, an accuracy or a learning rate: a, b"),
        ("loss\nmany\n", "contains no values"),
        (b"\x00\x01\x02\n" * 10, "is not a CSV file"),
    ],
)
def test_table_without_losses_is_refused(tmp_path, text, problem):
    with pytest.raises(DataError, match=problem):
        import_text(tmp_path, text)


def test_malformed_rows_are_counted_and_an_earlier_step_replaces_later_ones(tmp_path):
    (tmp_path / "log.csv").write_text("step;loss\n1;3\n2;2;7\n3;1\n3;0.9\n")
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(tmp_path / "log.csv"), run)
    importer.poll()
    with (tmp_path / "log.csv").open("a") as log:
        log.write("2;9\n4;0.5\n")
    importer.poll()
    importer.close(ended=True)
    state, _ = read_state(run)
    assert list(state.curve.steps) == [1, 2, 4]
    assert list(state.curve.losses) == [3.0, 9.0, 0.5]
    assert notices_of(run)[-2:] == [
        "1 row has more or fewer cells than the header of log.csv and is left out",
        "2 values were replaced by later ones of the same or an earlier step",
    ]


def test_missing_source_is_named_in_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        open_source(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        open_source(tmp_path / "pipe")
    with pytest.raises(DataError, match="contains no TensorBoard event files"):
        open_source(tmp_path)


def test_lines_that_are_not_json_are_counted(tmp_path):
    """A job that was killed leaves a last line that is cut off."""
    text = '{"step": 1, "loss": 3}\nWARNING: slow\n{"step": 2, "loss": 2}\n{"step": 3, "lo'
    run = import_text(tmp_path, text, "lines.jsonl")
    assert list(read_state(run)[0].curve.steps) == [1, 2]
    assert notices_of(run)[-1] == "2 lines of lines.jsonl are not valid JSON and are left out"
