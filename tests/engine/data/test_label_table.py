"""Images whose classes are in a table."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.marks import MARKS_FILE, Marked, read_marks, write_marks
from cnn_engine.data.sources.find_files import list_files
from cnn_engine.errors import ConfigError, DataError
from photos_for_tests import load_folder, make_photos


def no_report(*_):
    """Report no progress."""


def config_of(folder, table, **changes):
    """Return the config of images in a folder with a table."""
    settings = {"source": "csv", "path": str(folder), "table": str(table), "image_size": 16}
    return DataConfig(**settings | changes)


def labels(folder, table, **changes):
    """Return the listed files with class and split, and the notices."""
    listing = list_files(config_of(folder, table, **changes), no_report)
    parts = ["train"] * listing.train_count + ["val"] * listing.val_count
    parts += ["test"] * (len(listing.files) - len(parts))
    names = [listing.classes[file.label] for file in listing.files]
    rows = zip(listing.relative_paths(), names, parts, strict=True)
    return {path: (name, part) for path, name, part in rows}, listing.notices


@pytest.fixture
def images(tmp_path):
    """Return a folder with four images in subfolders."""
    folder = tmp_path / "my photos"
    for name in ("a/1.jpg", "a/2.JPG", "b/3.jpg", "b/é 4.x.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(folder / name)
    return folder


EXPECTED = {"a/1.jpg": "cat", "a/2.JPG": "dog", "b/3.jpg": "cat", "b/é 4.x.jpg": "dog"}


@pytest.mark.parametrize(
    "content",
    [
        "path,label\na/1.jpg,cat\na/2.JPG,dog\nb/3.jpg,cat\nb/é 4.x.jpg,dog\n",
        "id,breed\n1,cat\n2,dog\n3,cat\né 4.x,dog\n",
        "\ufefflabel;image id\r\ncat;1.jpg\r\ndog;2.jpg\r\ncat;3.jpg\r\ndog;é 4.x.jpg\r\n",
        "file\tclass\na\\1.jpg\tcat\na\\2.JPG\tdog\nb\\3.jpg\tcat\nb\\é 4.x.jpg\tdog\n",
        "kind,where\ncat,my photos/a/1.jpg\ndog,./my photos/a/2.JPG\ncat,my photos/b/3.jpg\n"
        "dog,my photos/b/e\u0301 4.x.jpg\n",
        "x,path,label\n1,C:\\me\\pics\\a\\1.jpg,cat\n2,C:\\me\\pics\\a\\2.JPG,dog\n"
        "3,C:\\me\\pics\\b\\3.jpg,cat\n9,C:\\me\\pics\\b\\é 4.x.jpg,dog\n",
    ],
)
def test_images_are_found_by_the_names_that_people_write(tmp_path, images, content):
    (tmp_path / "labels.csv").write_text(content, newline="")
    found, notices = labels(images, tmp_path / "labels.csv")
    assert {path: name for path, (name, _) in found.items()} == EXPECTED
    assert len(notices) == 1
    assert notices[0].startswith("classes are in column '")


def test_labels_that_look_like_numbers_of_images_are_no_paths(tmp_path):
    """As in Kaggle's digits: the classes 1 and 2 are also names of images."""
    for number in range(8):
        Image.new("L", (8, 8)).save(tmp_path / f"{number}.png")
    rows = "".join(f"{1 + number % 2},{number}\n" for number in range(8))
    Image.new("L", (8, 8)).save(tmp_path / "number.png")
    (tmp_path / "train.csv").write_text(f"digit,number\n{rows}")
    found, _ = labels(tmp_path, "train.csv")
    assert found["3.png"] == ("2", "train")


def test_column_with_a_class_per_image_is_doubtful(tmp_path, images):
    (tmp_path / "labels.csv").write_text("id,label\n1,0.5\n2,0.7\n3,0.5\n")
    assert (
        "2 classes of 3 images; if it is not the class"
        in labels(images, tmp_path / "labels.csv")[1][0]
    )


def test_split_column_and_unlabelled_images(tmp_path, images):
    rows = "1,cat,Training\n2,dog,train\n3,cat,valid\n4.x,,test\n3,cat,valid\n"
    (images / "labels.csv").write_text(f"id,label,set\n{rows.replace('4.x', 'é 4.x')}")
    found, notices = labels(images, "labels.csv")
    assert found == {
        "a/1.jpg": ("cat", "train"),
        "a/2.JPG": ("dog", "train"),
        "b/3.jpg": ("cat", "val"),
    }
    text = "\n".join(notices)
    assert "splits in 'set'" in text
    assert "1 row repeat another one (line 6: 3)" in text
    assert "not used: 1 row without a class (line 5: é 4.x)" in text
    assert "not used: 1 image without a class" in text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            "path,label\na/1.jpg,cat\na/2.JPG,dog\na/1.jpg,dog\n",
            "line 4: a/1.jpg has the class 'dog', but 'cat' in line 2",
        ),
        (
            "path,label\na/1.jpg,cat\na/2.JPG,dog\n9.jpg,dog\n",
            "1 row of 3 names no image in .*line 4: 9.jpg.*data.unreadable=skip",
        ),
        (
            "path,label\n7.jpg,cat\n1.jpg,dog\n8.jpg,dog\n9.jpg,dog\n",
            "3 rows of 4 name no image in .*line 2: 7.jpg",
        ),
        ("path,label\n7.jpg,cat\n8.jpg,dog\n", "no column names images in .*columns: path, label"),
        ("path,label\na/1.jpg,cat\n,dog\na/2.JPG,dog\n", "line 3: names no image"),
        ("a/1.jpg,cat\na/2.JPG,dog\n", "line 1: names an image; add a header above it.*path,label"),
        ("path,label\na/1.jpg,cat\na/2.JPG,cat\n", "has only 1 class, cat"),
        ("path,label\n1.jpg cat\n2.jpg dog\n", "line 2: has 1 cells"),
        (
            "path,kind,sex\n1,cat,m\n2,dog,f\n3,cat,m\né 4.x,dog,f\n",
            "several columns may be the classes: kind, sex; .*data.label_column",
        ),
        ("path,size\n1,3\n2,4\n3,5\n", "no column of classes; .*data.label_column"),
        (
            "path,label,split\n1,cat,train\n2,dog,train\n3,cat,holdout\n",
            "line 4: 'holdout' in column split is not train, val or test",
        ),
        (
            "path,label,split\n1,cat,train\n2,dog,train\n3,cow,test\n",
            "line 4: class 'cow' has no training image",
        ),
        ("path,label\n1,caf\udce9\n2,dog\n", "line 2: is not UTF-8"),
    ],
)
def test_wrong_table_is_named_with_its_line(tmp_path, images, content, text):
    (tmp_path / "labels.csv").write_text(content, errors="surrogateescape")
    with pytest.raises(DataError, match=rf"labels\.csv: (has )?{text}") as error:
        labels(images, tmp_path / "labels.csv")
    assert "\n" not in str(error.value)


@given(st.binary(max_size=80), st.sampled_from((b"", b"path,label\n1,cat\n2,dog\n")))
def test_any_table_is_read_or_refused_in_one_line(content, start):
    with TemporaryDirectory() as folder:
        for number in (1, 2, 3):
            Image.new("L", (8, 8)).save(Path(folder) / f"{number}.png")
        for name in ("labels.csv", MARKS_FILE):
            (Path(folder) / name).write_bytes(start + content)
        with pytest.raises(DataError) if not start else suppress(DataError):
            labels(folder, "labels.csv")
        with suppress(DataError):
            read_marks(Path(folder))


def test_name_of_several_images_is_refused(tmp_path, images):
    shutil.copy(images / "a" / "1.jpg", images / "b" / "1.jpg")
    (tmp_path / "labels.csv").write_text("id,label\n1,cat\n2,dog\n")
    with pytest.raises(DataError, match=r"line 2: 1 may be a/1.jpg and b/1.jpg"):
        labels(images, tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("id,label\nb/1,cat\n2,dog\n")
    assert labels(images, tmp_path / "labels.csv")[0]["b/1.jpg"] == ("cat", "train")


def test_config_names_columns_and_skips_missing_images(tmp_path, images):
    (tmp_path / "labels.csv").write_text("path,kind,sex\n1,cat,m\n2,dog,f\n9,cat,m\n")
    settings = {"label_column": "sex", "unreadable": "skip"}
    found, notices = labels(images, tmp_path / "labels.csv", **settings)
    assert found == {"a/1.jpg": ("m", "train"), "a/2.JPG": ("f", "train")}
    assert "1 row of 3 names no image" in notices[0]
    with pytest.raises(ConfigError, match=r"data.label_column: 'sexe' .*; did you mean 'sex'"):
        labels(images, tmp_path / "labels.csv", label_column="sexe")


def test_images_of_a_table_are_decoded_as_those_of_folders(tmp_path, monkeypatch):
    make_photos(tmp_path / "photos", per_class=12)
    by_folder = load_folder(tmp_path / "photos")
    rows = "".join(f"{path},{path[:3]}\n" for path in sorted(by_folder.paths, reverse=True))
    table = tmp_path / "labels.csv"
    table.write_text(f"path,label\n{rows}")
    data = load_dataset(config_of(tmp_path / "photos", table), 0, no_report)
    assert data.paths == by_folder.paths
    assert data.images.equal(by_folder.images)
    assert data.labels.equal(by_folder.labels)
    # Another label neither decodes the images again nor moves them.
    monkeypatch.setattr("cnn_engine.data.sources.folder.decode", None)
    table.write_text(f"path,label\n{rows}".replace("cat/003.tif,cat", "cat/003.tif,dog"))

    again = load_dataset(config_of(tmp_path / "photos", table), 0, no_report)
    assert again.paths == data.paths
    assert (again.labels != data.labels).sum() == 1


def test_commands_train_test_and_predict_with_a_table(tmp_path, run_cli):
    folder, table = tmp_path / "data" / "photos", tmp_path / "data" / "labels.csv"
    make_photos(folder, per_class=20)
    paths = sorted(path.relative_to(folder) for path in folder.glob("*/*"))
    table.write_text("id,kind\n" + "".join(f"{path},{path.parent}\n" for path in paths))
    write_marks(folder, {"cat/003.tif": Marked("drop")})

    code, out, err = run_cli("data", "check", folder, "--table", table, "--json", cwd=tmp_path)
    assert code == 0, err
    assert {"layout", "marks"} <= {finding["kind"] for finding in json.loads(out)["findings"]}
    for wrong in (("data", "check", table), ("run", table)):
        code, _, err = run_cli(*wrong, cwd=tmp_path)
        assert (code, len(err.splitlines())) == (2, 1)
        assert "is a table" in err

    settings = ("data.image_size=16", "model.filters=[8]", "train.device=cpu", "data.source=csv")
    options = [f"--set={setting}" for setting in (*settings, "data.table=data/labels.csv")]
    train = ("run", "folder", "--data-dir", folder, "--no-ui", "--epochs=1", *options)
    table_text = table.read_text()
    table.write_text(table_text + "cat/000.jpg,dog\n")
    code, _, err = run_cli(*train, cwd=tmp_path)
    assert (code, len(err.splitlines())) == (3, 1)
    assert "labels.csv: line 42: cat/000.jpg has the class 'dog', but 'cat' in line 2" in err
    assert not (tmp_path / "runs").exists()
    table.write_text(table_text)
    code, _, err = run_cli(*train, "--name=tabular", cwd=tmp_path)
    assert code == 0, err
    code, _, err = run_cli("predict", "tabular", folder, cwd=tmp_path)
    assert code == 0
    assert "40 of these images are in the folder of the run's training images" in err

    (tmp_path / "data").rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    directory = f"--runs-dir={tmp_path / 'runs'}"
    code, _, err = run_cli(
        *("resume", "tabular", directory, "--no-ui", "--epochs=2"),
        *("--data-dir", tmp_path / "moved" / "photos"),
        cwd=tmp_path / "elsewhere",
    )
    assert code == 0, err
    assert "1 dropped" in err
    code, out, err = run_cli("test", "tabular", directory, cwd=tmp_path / "elsewhere")
    assert code == 0, err
    assert "All counts equal the recorded test" in out
