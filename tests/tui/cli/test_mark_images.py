"""`cnn-tui data mark` writes the marks that runs honour, and refuses what they would refuse."""

import io
import json

import pytest

from cnn_engine.data.marks import Marked, read_marks


@pytest.fixture
def photos(tmp_path):
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8")
    return tmp_path / "photos"


def test_images_are_marked_by_path_and_listed(photos, run_cli):
    def mark(*arguments):
        return run_cli("data", "mark", "photos", *arguments, cwd=photos.parent)

    assert mark().errors == "No image is marked.\n"
    relabelled = mark("photos/cat/1.jpg", "--relabel", "dog")
    assert relabelled.out.startswith("1 image marked: relabel dog. Marked in all: 1 relabel;")
    assert mark("cat/2.jpg", photos / "dog" / "1.jpg", "--drop").code == 0
    assert read_marks(photos) == {
        "cat/1.jpg": Marked("relabel", "dog"),
        "cat/2.jpg": Marked("drop"),
        "dog/1.jpg": Marked("drop"),
    }
    assert "drop     cat/2.jpg" in mark().out.splitlines()
    mark("cat/2.jpg", "--keep")
    mark("dog/1.jpg", "--clear")
    assert json.loads(mark("--json").out) == [
        {"path": "cat/1.jpg", "mark": "relabel", "class": "dog"},
        {"path": "cat/2.jpg", "mark": "keep", "class": None},
    ]


def test_names_are_read_from_stdin(photos, run_cli, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("cat/1.jpg\n\ncat/2.jpg\n"))
    run_cli("data", "mark", photos, "-", "--drop", cwd=photos)
    assert set(read_marks(photos)) == {"cat/1.jpg", "cat/2.jpg"}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["cat/9.jpg", "--drop"], 3, "cat/9.jpg: does not exist; name images by their path"),
        (["cat/1.jpg", "--relabel", "dgo"], 2, "is not a class of photos; did you mean 'dog'?"),
        (["cat/1.jpg"], 2, "choose one of --relabel CLASS, --drop, --keep and --clear"),
        (["cat/1.jpg", "--drop", "--keep"], 2, "choose one of"),
        (["--drop"], 2, "name the images to mark"),
    ],
)
def test_nothing_is_marked_by_mistake(photos, run_cli, arguments, code, text):
    result = run_cli("data", "mark", "photos", *arguments, cwd=photos.parent)
    assert result.code == code
    assert text in result.errors
    assert read_marks(photos) == {}


def test_marks_of_an_image_that_is_gone_can_be_cleared(photos, run_cli):
    run_cli("data", "mark", photos, "cat/1.jpg", "--drop", cwd=photos)
    (photos / "cat/1.jpg").unlink()
    assert run_cli("data", "mark", photos, "cat/1.jpg", "--clear", cwd=photos).code == 0
    assert read_marks(photos) == {}
