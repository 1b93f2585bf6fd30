"""Files that `cnn-tui predict` classifies: damaged, oddly named, in folders and lists."""

import csv
import io
import os
import shutil
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnn_engine.data.image_search import PassedOver, RequestedImage, find_images
from photos_for_tests import decompression_bomb, save_images
from runs_for_tests import RunForTests

ODD_CLASSES = (
    "=cmd|'!A0",
    "[red]x[bold]",
    "a\x1b]0;pwned\x07",
    "b\x1b[2J\u202eab",
    "new\nline",
    "emoji 🙂",
    os.fsdecode(b"lone\xff"),
    "long" * 60,
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Return a directory with a run whose classes have odd names, and the run."""
    directory = tmp_path_factory.mktemp("odd")
    for number, name in enumerate(ODD_CLASSES):
        save_images(directory / "photos" / name, 10, shade=30 * number)
    settings = (f"data.path={directory / 'photos'}", "train.epochs=1")
    return directory, RunForTests(directory / "runs", *settings, preset="folder").train().directory


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Create a folder of images in many formats and of files that are not images."""
    folder = tmp_path_factory.mktemp("zoo")
    red = Image.new("RGB", (90, 40), "red")
    red.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.full((50, 50), 40_000, np.uint16)).save(folder / "deep.png")
    frames = [Image.new("P", (20, 20), number) for number in range(3)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    red.save(folder / "really_png.jpg", format="PNG")
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(folder / "clear.png")
    (folder / "bomb.png").write_bytes(decompression_bomb())
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    os.mkfifo(folder / "pipe.png")
    return folder


def test_unreadable_files_are_reported_and_the_rest_classified(pets, zoo, predict):
    predictions, errors = predict(pets[0], zoo, "nowhere.png", code=3)
    good = ["clear.png", "cmyk.jpg", "deep.png", "moving.gif", "really_png.jpg"]
    assert [Path(row["path"]).name for row in predictions] == good
    for name, reason in {
        "bomb.png": "is too large; at most 89 megapixels are decoded",
        "empty.png": "is empty",
        "text.jpg": "is not an image, or is damaged",
        "pipe.png": "is not a regular file",
    }.items():
        assert f"cnn-tui: {zoo / name}: {reason}" in errors
    assert "cnn-tui: nowhere.png: No such file or directory\n" in errors
    assert errors.endswith("5 images classified, 5 unreadable\n")


def test_32_bit_images_need_a_run_trained_for_them(pets, tmp_path, predict):
    """The reason does not advise a key that `predict` cannot set."""
    Image.new("F", (9, 9), 0.5).save(tmp_path / "depth.tif")
    _, errors = predict(pets[0], tmp_path / "depth.tif", code=3)
    assert "values up to 0.5; they need a run that is trained with data.max_value" in errors


@pytest.mark.parametrize(
    ("folder", "count"),
    [(".", 60), ("train", 60), ("../photos/train", 60), ("test", 0), ("train/cat", 0)],
)
def test_images_of_the_training_are_named_as_such(pets, command, folder, count):
    """The accuracy on training images is not taken for that of a test."""
    code, _, errors = command(pets[0] / "photos" / folder, cwd=pets[0])
    assert code == 0
    assert ("most of those were trained on" in errors) == bool(count)
    assert f"{count} of these images are in the folder" in errors or not count


def test_copies_of_training_images_are_not_noticed_but_links_are(pets, tmp_path, command):
    shutil.copytree(pets[0] / "photos" / "train", tmp_path / "copy")
    (tmp_path / "link").symlink_to(pets[0] / "photos" / "train")
    assert "60 of these images are in" in command(tmp_path / "link", cwd=pets[0])[2]


def test_files_that_are_not_used_are_counted(pets, tmp_path, predict):
    """Photos of an iPhone are not passed over without a word (jmathai/elodie#269)."""
    for folder in ("cat", "cat/@eaDir/x.jpg"):
        save_images(tmp_path / folder, 1, suffix=".jfif")
    (tmp_path / "cat" / "IMG_1.HEIC").touch()
    predictions, errors = predict(pets[0], tmp_path)
    assert [row["truth"] for row in predictions] == ["cat"]
    assert errors.splitlines()[-2:] == [
        "cnn-tui: 1 file passed over: .heic (not supported; convert to JPEG)",
        "cnn-tui: 1 hidden or system folder passed over: @eaDir",
    ]


def test_named_file_needs_no_image_extension(pets, tmp_path, predict):
    Image.new("RGB", (9, 9)).save(tmp_path / "picture.dat", format="PNG")
    predictions, _ = predict(pets[0], tmp_path / "picture.dat")
    assert len(predictions) == 1


def is_printable(text):
    """Return True if the text has no control characters except newlines."""
    return not any(unicodedata.category(char)[0] == "C" for char in text if char != "\n")


@pytest.fixture(scope="module")
def oddly_named(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    names = [
        "-a.png",
        "=b.png",
        "c\nd.png",
        "e\x1b[2J.png",
        os.fsdecode(b"f\xff.png"),
        "[red]g.png",
    ]
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / name, format="PNG")
    return folder, sorted(names)


def test_odd_names_are_escaped_in_lines(odd, oddly_named, command):
    code, out, errors = command(oddly_named[0], "--top", "99", cwd=odd[0])
    assert code == 0, errors
    assert is_printable(out)
    assert len(out.splitlines()) == 6
    assert "c\\nd.png" in out


def test_odd_names_are_escaped_in_csv_and_are_no_formulas(odd, oddly_named, command):
    directory, names = oddly_named
    arguments = ("--csv", "--top", "99", "--runs-dir", str(odd[0] / "runs"), "--", *names)
    code, out, error = command(*arguments, cwd=directory)
    assert code == 0, error
    assert is_printable(out)
    heading, *rows = csv.reader(io.StringIO(out))
    assert heading[:6] == ["path", "truth", "class", "probability", "class_2", "probability_2"]
    assert {len(row) for row in rows} == {len(heading)} == {2 + 2 * len(ODD_CLASSES)}
    cells = [cell for row in rows for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert {"'-a.png", "'=b.png", "c\\nd.png", "'=cmd|'!A0"} <= set(cells)


def test_json_keeps_odd_names(odd, oddly_named, predict):
    predictions, _ = predict(odd[0], oddly_named[0], "--top", "99")
    assert [Path(row["path"]).name for row in predictions] == oddly_named[1]
    assert {row["class"] for row in predictions[0]["top"]} == set(ODD_CLASSES)


@pytest.mark.parametrize("separator", [b"\n", b"\0"])
def test_predict_reads_file_names_from_stdin(pets, predict, monkeypatch, separator):
    names = [b"photos/test/dog/03.jpg", b"photos/test/cat/01.jpg"]
    listed = io.BytesIO(separator.join([*names, b""]))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(listed))
    predictions, _ = predict(pets[0], "-")
    assert [row["path"].encode() for row in predictions] == names
    assert predictions[0]["truth"] is None


def test_folders_are_searched_recursively(tmp_path):
    for name in ("b/x/2.PNG", "b/1.jpg", "a.webp", "b/.hidden.png", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    passed_over = PassedOver()
    found = find_images([str(tmp_path), "other.txt"], passed_over, pytest.fail)
    names = [os.path.relpath(row.path, tmp_path) for row in found[:-1]]
    assert names == ["a.webp", "b/1.jpg", "b/x/2.PNG"]
    assert found[-1] == RequestedImage("other.txt", "")
    assert passed_over.texts() == [
        "1 file passed over: .txt (not an image)",
        "1 hidden image file passed over",
        "1 link to a folder passed over: links are not followed",
    ]


@pytest.mark.parametrize(
    ("path", "folder", "target"),
    [
        ("photos/cat/dog/1.jpg", "photos", "cat"),
        ("photos/test/dog/1.jpg", "photos/", "dog"),
        ("photos/cat/1.jpg", "photos/cat", None),
        ("cat/1.jpg", "", None),
        ("./dog/1.jpg", ".", "dog"),
        ("photos/cat", "photos", None),
    ],
)
def test_class_is_the_outermost_matching_folder(path, folder, target):
    assert RequestedImage(path, folder).true_class({"cat": "cat", "dog": "dog"}) == target


def test_predict_without_images_exits_3(pets, tmp_path, command):
    code, out, errors = command(tmp_path, cwd=pets[0])
    assert (code, out) == (3, "")
    assert f"{tmp_path}: no images found" in errors


def test_predict_with_empty_stdin_exits_3(pets, command, monkeypatch):
    with Path(os.devnull).open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        code, _, errors = command("-", cwd=pets[0])
    assert code == 3
    assert "no images found" in errors


def test_home_directory_is_expanded_in_images(odd, oddly_named, predict, monkeypatch):
    """Scripts pass `~` in quotes (pallets/click#287)."""
    folder = oddly_named[0]
    monkeypatch.setenv("HOME", str(folder.parent))
    predictions, _ = predict(odd[0], f"~/{folder.name}", "--top", "1")
    assert [Path(row["path"]).parent for row in predictions] == len(predictions) * [folder]
