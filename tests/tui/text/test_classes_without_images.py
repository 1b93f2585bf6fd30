"""Classes without validation or test images have no accuracy, instead of one of 0 %."""

import math
from dataclasses import replace

import pytest
from rich.console import Console

from cnn_engine.runlog import events
from cnn_tui.dashboard.class_results import latest_results, sorted_indices
from cnn_tui.dashboard.widgets.classes.class_grid import ClassGrid, accuracy_bar
from cnn_tui.exports.csv_tables import write_epochs, write_long
from cnn_tui.exports.html_report import write_html
from cnn_tui.exports.markdown import write_markdown
from cnn_tui.exports.record import read_record
from cnn_tui.headless.printer import final_test_lines
from cnn_tui.reports.final_test import class_table
from exports_for_tests import csv_rows, export_text
from golden import golden_run, rewrite_events

MISSING = 3


@pytest.fixture
def record(tmp_path):
    """Return a run's record without validation or test images of one class (piximi#261)."""

    def change(event):
        if not isinstance(event, events.EpochFinished | events.TestFinished):
            return event
        correct, total = ([*counts] for counts in (event.correct, event.total))
        correct[MISSING] = total[MISSING] = 0
        confusion = tuple(entry for entry in event.confusion if entry[0] != MISSING)
        return replace(event, correct=tuple(correct), total=tuple(total), confusion=confusion)

    return read_record(rewrite_events(golden_run(tmp_path, "completed"), change))


def test_printed_tables_state_that_there_is_no_image(record):
    state = record.state
    lines = final_test_lines(state.test, state)
    assert [line for line in lines if "no test image" in line] == [
        "Test Accuracy of 3: no test image"
    ]
    console = Console(width=120)
    with console.capture() as capture:
        console.print(class_table(state.test, state.prepared.classes))
    assert capture.get().count("no image") == 1


@pytest.mark.parametrize("write", [write_html, write_markdown])
def test_reports_state_that_there_is_no_image(record, write):
    assert export_text(write, record).count("no image") == 1


def test_csv_has_no_accuracy(record):
    assert {row["val_accuracy of 3"] for row in csv_rows(export_text(write_epochs, [record]))} == {
        "nan"
    }
    (row,) = (
        row
        for row in csv_rows(export_text(write_long, [record]))
        if row["series"] == "test_accuracy of 3"
    )
    assert math.isnan(float(row["value"]))


def test_classes_view_has_no_accuracy_and_sorts_the_class_last(record):
    results = latest_results(record.state)
    assert math.isnan(results.accuracy(MISSING))
    assert sorted_indices(results, "worst first")[-1] == MISSING
    for width in (20, 70):
        drawn = ClassGrid().draw(record.state, width, 10)
        shown = "\n".join(drawn[number].plain for number in range(len(drawn)))
        assert "3    –   " in shown
    assert [accuracy_bar(math.nan, width).plain for width in (0, 4, 9)] == [
        "",
        " " * 4,
        "no image ",
    ]
