"""Runs on marked images: recorded with their marks, which later edits do not change."""

import json

from cnn_engine.data.marks import MARKS_FILE, Marked, read_marks_file, write_marks
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from photos_for_tests import load_folder, make_photos

SMALL = [
    f"--set={setting}"
    for setting in (
        "data.image_size=16",
        "model.filters=[8]",
        "train.device=cpu",
        "model.hidden=[]",
    )
]


def test_a_run_keeps_the_marks_that_it_was_trained_with(tmp_path, run_cli):
    photos = tmp_path / "photos"
    make_photos(photos, per_class=20)
    data = load_folder(photos)
    names = sorted(data.paths[index] for index in data.test)
    marks = {
        names[0]: Marked("drop"),
        names[1]: Marked("drop"),
        names[-1]: Marked("relabel", "cat"),
        names[-2]: Marked("keep"),
    }
    write_marks(photos, marks)
    train = ("run", "folder", "--data-dir", photos, "--no-ui", "--epochs", "1", *SMALL)
    code, _, err = run_cli(*train, "--name=marked", cwd=tmp_path)
    assert code == 0, err
    summary = "2 dropped, 1 relabelled, 3 of them test images"
    assert f"{MARKS_FILE}: {summary}; this test is not comparable" in err
    assert "Not exactly the environment" not in err
    (path,) = (tmp_path / "runs").glob("[0-9]*")
    assert read_marks_file(path / "marks.csv") == marks
    prepared = read_state(RunDirectory(path))[0].prepared
    assert prepared.train_images + prepared.val_images + prepared.test_images == 38
    assert prepared.environment["marks"].startswith(f"{summary} (")

    # Neither a resume nor a test is affected by later marks, even damaged ones.
    (photos / MARKS_FILE).write_text("path,mark,class\ncat/001.png,delete,\n")
    for command in (("resume", "marked", "--epochs", "2", "--no-ui"), ("test", "marked")):
        code, out, err = run_cli(*command, cwd=tmp_path)
        assert code == 0, err
    assert "All counts equal the recorded test" in out
    assert read_marks_file(path / "marks.csv") == marks

    # A new run refuses the damaged marks before it exists, and can ignore them.
    code, _, err = run_cli(*train, cwd=tmp_path)
    assert (code, len(err.splitlines())) == (3, 1)
    assert f"{MARKS_FILE}: line 2: 'delete' is not a mark" in err
    alike = ("run", "--like=marked", "--set=data.marks=ignore", "--name=all", "--no-ui")
    code, _, err = run_cli(*alike, cwd=tmp_path)
    assert code == 0, err
    assert f"marks: none, before {summary} (" in err
    assert "files: " not in err  # they are the same, with other labels
    assert f"the marks in {photos / MARKS_FILE} are not used" in err
    assert len(list((tmp_path / "runs").glob("[0-9]*"))) == 2
    assert len(list((tmp_path / "runs").glob("*/marks.csv"))) == 1

    assert f"{summary} (" in run_cli("show", "marked", cwd=tmp_path).out.replace("\n", " ")
    for suffix in ("markdown", "html"):
        file = run_cli("export", "marked", f"--to={suffix}", cwd=tmp_path).out.strip()
        assert summary in (tmp_path / file).read_text()
    values = json.loads(run_cli("show", "marked", "--json", cwd=tmp_path).out)
    assert values["environment"]["marks"] == prepared.environment["marks"]
    compared = json.loads(run_cli("compare", "marked", "all", "--json", cwd=tmp_path).out)
    assert compared["settings"]["marks"] == [prepared.environment["marks"], None]
    assert compared["settings"]["data.marks"] == ["use", "ignore"]
    assert compared["tests"][0]["p"] is None
    assert "marks drop or relabel other test images" in compared["tests"][0]["reason"]


def test_tests_without_marks_are_compared_although_training_images_are_marked(tmp_path, run_cli):
    photos = tmp_path / "photos"
    make_photos(photos, per_class=20)
    train = ("run", "folder", "--data-dir", photos, "--no-ui", "--epochs", "1", *SMALL)
    run_cli(*train, "--name=before", cwd=tmp_path)
    data = load_folder(photos)
    write_marks(photos, {data.paths[index]: Marked("drop") for index in data.train[:2]})
    run_cli(*train, "--name=after", cwd=tmp_path)
    compared = json.loads(run_cli("compare", "before", "after", "--json", cwd=tmp_path).out)
    assert compared["settings"]["marks"][1].startswith("2 dropped (")
    assert compared["tests"][0]["p"] is not None
