"""Export of the mistakes as CSV, from the command line and the Mistakes view."""

import csv

import pytest

from cnn_engine.results import predictions
from cnn_engine.results.predictions import read_predictions
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.run import RunScreen
from pilot import press, screen_text


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_show_command_exports_mistakes(run, finished_test, tmp_path, run_cli):
    path, saved = tmp_path / "wrong.csv", read_predictions(run, finished_test)
    result = run_cli("show", run.id, "--mistakes", path, cwd=tmp_path)
    assert (result.code, result.out) == (0, "")
    mistakes = [saved[index] for index in saved.mistakes()]
    assert f"{len(mistakes)} misclassified images written to " in result.errors
    assert [
        (row["path"], int(row["true"]), int(row["predicted"]), float(row["confidence"]))
        for row in rows_of(path)
    ] == [
        (mistake.name, mistake.target, mistake.predicted, mistake.confidence)
        for mistake in mistakes
    ]
    assert [int(row["rank"]) for row in rows_of(path)] == [mistake.rank for mistake in mistakes]


async def test_key_exports_mistakes(run, finished_test, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(160, 24)) as pilot:
        await press(pilot, "3", "w")
        assert "mistakes written to" in screen_text(app)
    rows = rows_of(tmp_path / f"{run.id}-mistakes.csv")
    assert len(rows) == sum(finished_test.total) - sum(finished_test.correct)


def test_csv_escapes_formulas_and_control_characters(run, finished_test, tmp_path, run_cli):
    saved = read_predictions(run, finished_test)
    hostile = ['=cmd|"/c calc"!A1', "+1", "-1", "@a", "\t=1", "a,b", 'a"b', "a\nb", "\x1b[2J"]
    hostile += ["\udcff", "é" * 5000]
    for index, name in zip(saved.mistakes(), hostile, strict=False):
        saved.names[index] = name
    (run.path / predictions.PREDICTIONS_FILE).write_bytes(saved.to_json())
    path = tmp_path / "wrong.csv"
    run_cli("show", run.id, "--mistakes", path, cwd=tmp_path)
    names = [row["path"] for row in rows_of(path)][: len(hostile)]
    assert names[:4] == ['\'=cmd|"/c calc"!A1', "'+1", "'-1", "'@a"]
    assert names[4:10] == [r"\t=1", "a,b", 'a"b', r"a\nb", r"\x1b[2J", r"\udcff"]
    assert len(names[10]) == 4096
    assert all(char == "\n" or char.isprintable() for char in path.read_text())


@pytest.mark.parametrize("problem", ["missing", "damaged", "unwritable"])
def test_failed_csv_export_leaves_no_file(run, tmp_path, run_cli, problem):
    path, code = tmp_path / "wrong.csv", 3
    if problem == "missing":
        (run.path / predictions.PREDICTIONS_FILE).unlink()
    elif problem == "damaged":
        (run.path / predictions.PREDICTIONS_FILE).write_bytes(b"{")
    else:
        path, code = tmp_path / "nowhere" / "wrong.csv", 5
    result = run_cli("show", run.id, "--mistakes", path, cwd=tmp_path)
    assert (result.code, result.out) == (code, "")
    assert "Traceback" not in result.errors
    assert not path.exists()
