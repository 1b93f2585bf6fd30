"""Metrics of the final test as table rows, as lines and as JSON."""

import json
from io import StringIO

import pytest
from rich.console import Console

from cnn_engine.results.metrics import metrics_of
from cnn_engine.results.metrics_json import metrics_as_dict
from cnn_engine.runlog import events
from cnn_engine.runlog.log import LogReader
from cnn_tui.exports.record import read_record, to_dict
from cnn_tui.headless.printer import final_test_lines
from cnn_tui.reports.final_test import final_test_report
from cnn_tui.reports.run import show_run
from cnn_tui.text.metrics import metric_lines, metric_rows
from golden import golden_run
from runs_for_tests import RunForTests

HOSTILE = ("[red]a", "[/nope]", "\x1b[2Jb", "c\nd", "\u202ee", "é" * 500, "\udcff", "=cmd", "", "j")


def finished_test(correct=(8, 1), total=(10, 2), confusion=((0, 1, 2), (1, 0, 1)), **values):
    return events.TestFinished(
        epoch=1, loss=0.5, correct=correct, total=total, seconds=1.0, confusion=confusion, **values
    )


def prepared(classes=("cat", "dog"), train_counts=(30, 6)):
    return events.RunPrepared(
        classes=classes,
        source="",
        image_shape=(3, 8, 8),
        train_images=sum(train_counts),
        val_images=1,
        test_images=12,
        steps_per_epoch=1,
        parameters=1,
        device="cpu",
        device_name="",
        threads=1,
        precision="fp32",
        train_counts=train_counts,
    )


BINS = ((0, 0, 0.0), (4, 2, 1.8), (8, 7, 7.2))


def rows(test):
    """Return the value and the comment of each row by its name."""
    run = prepared()
    return {row.name: row[1:] for row in metric_rows(metrics_of(test, run), run.classes)}


def test_metrics_as_rows():
    assert rows(finished_test(bins=BINS)) == {
        "accuracy": ("75.00%", "46.77–91.11%, 9 of 12"),
        "majority class (cat)": ("83.33%", "baseline; the accuracy is not clearly better"),
        "macro F1": ("0.6211", "precision 0.6111, recall 0.6500"),
        "calibration error": ("3.33%", "well calibrated: mean confidence 75.0%, accuracy 75.0%"),
    }


@pytest.mark.parametrize(
    ("confidence_sum", "verdict"),
    [(11.0, "overconfident"), (9.0, "well calibrated"), (6.0, "underconfident")],
)
def test_calibration_text(confidence_sum, verdict):
    assert rows(finished_test(bins=((12, 9, confidence_sum),)))["calibration error"][1].startswith(
        verdict
    )


@pytest.mark.parametrize(
    ("correct", "verdict"),
    [(990, "49.0 points below"), (10, "49.0 points above"), (505, "not clearly better")],
)
def test_baseline_text(correct, verdict):
    test = finished_test(correct=(correct // 2, correct // 2), total=(500, 500))
    assert verdict in rows(test)["majority class (cat)"][1]


def test_metrics_as_lines():
    test = finished_test(bins=BINS, top5=12)
    assert metric_lines(metrics_of(test, prepared()), ("cat", "dog")) == [
        "Test Accuracy (95% Interval): 46.77% to 91.11%",
        "Test Accuracy (Top 5): 100.00% (12/12)",
        "Test Accuracy (Majority Class cat): 83.33% (10/12)",
        "Test Macro F1: 0.6211",
        "Test Calibration Error: 0.0333",
    ]


def test_metrics_as_json():
    values = metrics_as_dict(finished_test(bins=BINS), prepared())
    assert json.loads(json.dumps(values)) == values
    assert values["accuracy"] == {
        "right": 9,
        "images": 12,
        "share": 0.75,
        "low": pytest.approx(0.467695),
        "high": pytest.approx(0.911058),
    }
    assert [row["name"] for row in values["classes"]] == ["cat", "dog"]
    assert values["classes"][1]["precision"] == pytest.approx(1 / 3)
    assert values["commonest_class"] == "cat"
    assert values["commonest_class_accuracy"]["right"] == 10
    assert values["confused"][0] == {"truth": "cat", "predicted": "dog", "images": 2}
    assert values["reliability"][2] == {
        "above": pytest.approx(2 / 3),
        "to": 1.0,
        "images": 8,
        "right": 7,
        "share": 0.875,
        "mean_confidence": pytest.approx(0.9),
    }
    assert values["top5"] is None


def test_old_log_is_shown_without_new_metrics(tmp_path, capsys):
    run = golden_run(tmp_path, "completed")
    show_run(run)
    text = capsys.readouterr().out
    assert "By class, test" in text
    assert "95% interval" in text
    assert "calibration" not in text
    assert to_dict(read_record(run))["figures"]["calibration_error"] is None


def test_run_prints_all_test_metrics(tmp_path, capsys):
    run = RunForTests(tmp_path, "train.epochs=2").train()
    show_run(run.directory)
    text = capsys.readouterr().out
    assert all(
        word in text for word in ("top 5", "majority class", "calibration error", "mean confidence")
    )
    assert "Most confused" in text
    show_run(run.directory, brief=True)
    assert "Most confused" not in capsys.readouterr().out
    metrics = to_dict(read_record(run.directory))["figures"]
    assert metrics["accuracy"]["right"] == sum(run.live_state.test.correct)
    assert sum(row["images"] for row in metrics["reliability"]) == 359


def test_hostile_names_are_harmless_text(tmp_path, capsys):
    count = len(HOSTILE)
    test = finished_test(
        correct=(1,) * count,
        total=(2,) * count,
        confusion=tuple((index, (index + 1) % count, 1) for index in range(count)),
        bins=BINS,
        top5=3,
    )
    lines = []
    for majority in range(count):
        counts = tuple(1 + (index == majority) for index in range(count))
        run = prepared(HOSTILE, counts)
        Console(width=100).print(final_test_report(test, run))
        lines += metric_lines(metrics_of(test, run), HOSTILE)
    text = "\n".join([capsys.readouterr().out, *lines])
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[/nope]" in text
    assert r"\x1b[2Jb" in text
    assert text.isprintable() or all(char == "\n" or char.isprintable() for char in text)
    assert max(map(len, text.splitlines())) <= 100
    json.dumps(metrics_as_dict(test, run)).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"correct": (), "total": (), "confusion": ()},
        {"total": (0, 0), "correct": (0, 0), "confusion": ()},
        {"confusion": ((7, 0, 3), (0, -9, 1))},
        {"correct": (3,)},
        {"bins": ((-5, 3, 2.0), (5, -3, 1e308))},
        {"bins": ((0, 0, 0.0),) * 3, "top5": -3},
        {"correct": (50, -7), "top5": 10**30},
    ],
)
def test_impossible_counts_do_not_raise(changes):
    test = finished_test(**changes)
    Console(file=StringIO()).print(final_test_report(test, prepared()))
    metric_lines(metrics_of(test, None), ())
    json.dumps(metrics_as_dict(test, prepared(("one",), (3,))))


def test_final_test_lines_come_from_the_event(tmp_path):
    run = RunForTests(tmp_path, "train.epochs=1").train()
    state = run.live_state
    (event,) = [
        event
        for event in LogReader(run.directory.events).poll()
        if isinstance(event, events.TestFinished)
    ]
    lines = final_test_lines(event, state)
    assert lines[0] == f"Test Loss: {event.loss:.6f}"
    assert lines[11].startswith("Test Accuracy (Overall): ")
