"""CSV exports, read back with the csv module."""

import csv
import io
import re

import pytest

from cnn_engine.runlog.events import RunResumed, ScalarsLogged
from cnn_tui.exports.csv_tables import write_epochs, write_long, write_series, write_steps
from cnn_tui.exports.record import read_record
from exports_for_tests import csv_rows, export_text
from golden import add_events, golden_run


def test_write_epochs_writes_metrics_of_every_epoch(completed):
    rows = csv_rows(export_text(write_epochs, [completed]))
    epochs = completed.state.epochs
    assert len(rows) == len(epochs) == 20
    assert [float(row["val_loss"]) for row in rows] == [epoch.val_loss for epoch in epochs]
    assert [float(row["val_accuracy"]) for row in rows] == [epoch.val_accuracy for epoch in epochs]
    assert [row["epoch"] for row in rows if row["best"] == "1"] == [str(completed.state.best.epoch)]
    last = epochs[-1]
    assert float(rows[-1]["val_accuracy of 3"]) == last.correct[3] / last.total[3]


def test_tables_accept_several_runs(tmp_path):
    records = [
        read_record(golden_run(tmp_path, "completed", "first")),
        read_record(golden_run(tmp_path, "stopped", "second")),
    ]
    for write in (write_epochs, write_steps, write_long):
        rows = csv_rows(export_text(write, records))
        assert list(dict.fromkeys(row["run"] for row in rows)) == ["first", "second"]


def test_write_steps_writes_every_point_of_the_curve(resumed):
    rows = csv_rows(export_text(write_steps, [resumed]))
    assert [float(row["loss"]) for row in rows] == list(resumed.state.curve.losses)
    assert {float(row["lr"]) for row in rows} == {0.001}


def test_write_long_writes_one_line_per_value(resumed):
    rows = csv_rows(export_text(write_long, [resumed]))
    losses = [row for row in rows if row["series"] == "step_loss"]
    assert [int(row["step"]) for row in losses] == list(resumed.state.curve.steps)
    (test,) = [row for row in rows if row["series"] == "test_accuracy"]
    assert float(test["value"]) == resumed.state.test.accuracy
    class_rows = [row for row in rows if row["series"] == "val_accuracy of 3"]
    assert len(class_rows) == len(resumed.state.epochs)


def test_cells_contain_no_formulas_or_control_characters(hostile):
    for write in (write_epochs, write_long):
        text = export_text(write, [hostile])
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
        for row in csv.reader(io.StringIO(text)):
            assert not any(cell.startswith(("=", "+", "@")) for cell in row)


def test_formula_as_run_id_is_quoted(tmp_path):
    run = golden_run(tmp_path, "completed", "=1+1")
    (row, *_) = csv_rows(export_text(write_epochs, [read_record(run)]))
    assert row["run"] == "'=1+1"


def test_write_series_writes_every_series_by_step(of_loop):
    rows = csv_rows(export_text(write_series, [of_loop]))
    series = of_loop.state.series
    assert list(rows[0])[4:] == list(series)
    for name, values in series.items():
        logged = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        assert [step for step, _ in logged] == list(values.curve.steps)
        assert [value for _, value in logged] == pytest.approx(list(values.curve.losses))


def test_series_are_in_the_long_table_without_undone_values(of_loop, tmp_path):
    undo = RunResumed(pid=1, host="", version="", epoch=3, step=10, file="", seconds=1.0)
    bad = ScalarsLogged(step=91, epoch=3, not_finite={"val/f1": "nan"})
    record = read_record(add_events(of_loop.run, undo, bad))
    rows = csv_rows(export_text(write_long, [record]))
    steps = [int(row["step"]) for row in rows if row["series"] == "train/loss"]
    assert steps == list(range(2, 91, 2))
    assert [row["value"] for row in rows if row["series"] == "val/f1"][-1] == "nan"
