"""`cnn-tui data suspects`: a table or pictures, CSV, JSON, and runs without what it needs."""

import csv
import io
import json
import shutil

import pytest
from rich.console import Console

from cnn_engine.results.suspects import SUSPECTS_FILE, Suspect, SuspectRow, Suspects, read_suspects
from cnn_engine.runs.directory import RunDirectory
from cnn_tui.reports.suspects import print_suspects
from golden import running_run
from loops_for_tests import classifier, loop_run
from runs_for_tests import RunForTests


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a directory with a run of the bundled digits, whose images are not files."""
    runs = tmp_path_factory.mktemp("runs")
    RunForTests(runs, "train.epochs=2").train()
    return runs


@pytest.fixture
def find(run_cli, tmp_path):
    def run(runs, *arguments):
        return run_cli("data", "suspects", *arguments, "--runs-dir", runs, cwd=tmp_path)

    return run


def test_lines_and_csv_list_images_by_number(find, runs, tmp_path):
    (run,) = runs.iterdir()
    (run / SUSPECTS_FILE).unlink()
    result = find(runs, "--limit", "2", "--csv", "all.csv")
    assert result.code == 0, result.errors
    lines = result.out.splitlines()
    assert lines[0].startswith("By area under the margin over 2 epochs and predictions for the")
    assert "; near-duplicates with other labels; distance to neighbours" in lines[0]
    assert lines[2] == "Suspicious labels"
    first = lines[3].split()
    assert (first[0], first[3]) == ("1", "→")
    assert lines[3].partition("image ")[2].isdigit()
    assert lines[-3] == "Outliers"
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    assert list(rows[0]) == [*SuspectRow._fields]
    assert [row["kind"] for row in rows].count("label") == 1151 + 287
    assert result.errors.startswith(f"{len(rows):,} rows written to all.csv\n")
    saved = read_suspects(RunDirectory(run))
    assert saved.suspects[0].name == rows[0]["path"]
    assert {each.kind for each in saved.suspects} >= {"label", "outlier"}


def test_json_has_the_first_of_each_kind(find, runs):
    value = json.loads(find(runs, "--limit", "1", "--json").out)
    assert value["marked"] == 0
    kinds = [each["kind"] for each in value["suspects"]]
    assert kinds == sorted(set(kinds), key=kinds.index)
    assert value["suspects"][0]["rank"] == 1


def test_unwritable_files_exit_5_after_the_table(find, runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs")
    (run,) = (tmp_path / "runs").iterdir()
    (run / SUSPECTS_FILE).unlink()
    (run / SUSPECTS_FILE).mkdir()
    result = find(tmp_path / "runs")
    assert result.code == 5
    assert "Suspicious labels" in result.out
    assert "suspects.json could not be written: Is a directory" in result.errors
    result = find(tmp_path / "runs", "--csv", "missing/all.csv")
    assert result.code == 5
    assert "missing/all.csv: cannot be written" in result.errors


def test_runs_without_a_model_are_refused(find, tmp_path):
    running = running_run(tmp_path, 8)
    other = loop_run(tmp_path, classifier())
    for run, text in (
        (running, "has no model yet; one is saved after its first epoch"),
        (other, "another program trains it: it has no model of cnn-tui"),
    ):
        result = find(tmp_path, run.id)
        assert result.code == 2
        assert text in result.errors
        assert result.errors.count("\n") == 1
    assert find(tmp_path, running.id, "--limit", "0").code == 2


@pytest.mark.parametrize("columns", [60, 120])
def test_pictures_have_texts_beside_them(columns):
    row = SuspectRow("label", 1, "photos/[red]\x1b/1.png", "cat", "dog", 0.97, "", "")
    other = row._replace(kind="duplicate", other="dog/2.png", rank=1)
    pixels = {"pixels": bytes(range(192)), "width": 8, "height": 8, "channels": 3}
    picture = Suspect(kind="label", name=row.path, label=0, likely=1, score=0.97, **pixels)
    file = Suspects(method="m", classes=["cat", "dog"], suspects=[picture])
    console = Console(
        file=io.StringIO(), width=columns, force_terminal=True, color_system="truecolor"
    )
    print_suspects([row, other], file, console, pictures=True)
    text = console.file.getvalue()
    assert "▀" in text
    assert "cat → dog" in text
    assert "like dog/2.png" in text
    assert "\x1b/1" not in text
