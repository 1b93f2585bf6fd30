"""Marks on images."""

import pytest

from cnn_engine.config.schema import DataConfig
from cnn_engine.data.dataset import load_dataset
from cnn_engine.data.marks import MARKS_FILE, Marked, find_marks, read_marks, write_marks
from cnn_engine.errors import DataError, StorageError
from photos_for_tests import load_folder, make_photos

MARKS = {
    "cat/a, b.jpg": Marked("relabel", "a dog"),
    'cat/ "é".jpg ': Marked("drop"),
    "dog/\udcff\n.jpg": Marked("keep"),
}


def test_marks_are_read_as_written(tmp_path):
    assert read_marks(tmp_path) == {}
    write_marks(tmp_path, MARKS)
    assert read_marks(tmp_path) == MARKS
    assert (tmp_path / MARKS_FILE).read_bytes().startswith(b"path,mark,class\n")
    write_marks(tmp_path, {})
    assert not list(tmp_path.iterdir())


def test_file_saved_by_a_spreadsheet_is_read(tmp_path):
    content = "\ufeffpath;mark;class\r\nc/1.jpg;drop ;\r\nc/1.jpg;drop;\r\nc/2.jpg;relabel;é;\r\n"
    (tmp_path / MARKS_FILE).write_text(content)
    marks = read_marks(tmp_path)
    assert marks == {"c/1.jpg": Marked("drop"), "c/2.jpg": Marked("relabel", "é")}


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("path,mark\na,drop\n", "line 1: has no column class"),
        (
            "path,mark,class\na,delete,\n",
            "line 2: 'delete' is not a mark; use relabel, drop or keep",
        ),
        ("path,mark,class\na,keep,\nb,relabel,\n", "line 3: relabel needs a class"),
        ("path,mark,class\n,drop,\n", "line 2: names no image"),
        ("path,mark,class\na,drop,\na,keep,\n", "line 3: a already has another mark in line 2"),
    ],
)
def test_wrong_row_is_named_with_its_line(tmp_path, rows, text):
    (tmp_path / MARKS_FILE).write_text(rows)
    with pytest.raises(DataError, match=f"{MARKS_FILE}: {text}"):
        read_marks(tmp_path)


def test_marks_stay_if_they_cannot_be_written(tmp_path):
    write_marks(tmp_path, MARKS)
    with pytest.raises(StorageError, match="cannot be written"):
        write_marks(tmp_path / "none", MARKS)
    assert read_marks(tmp_path) == MARKS


def load_marked(tmp_path, images, **changes):
    """Return the data set of photographs with marks."""
    write_marks(tmp_path, images)
    config = DataConfig(source="folder", path=str(tmp_path), image_size=16, **changes)
    return load_dataset(config, 0, lambda *_: None, find_marks(config))


@pytest.fixture
def plain(tmp_path):
    """Return the data set of photographs without marks."""
    make_photos(tmp_path, per_class=20)
    return load_folder(tmp_path)


def test_dropped_images_leave_their_split_and_relabelled_ones_change_their_label(tmp_path, plain):
    marks = {
        "cat/003.tif": Marked("drop"),
        "dog/004.jpg": Marked("relabel", "cat"),
        "dog/005.png": Marked("relabel", "dog"),
        "cat/006.jpeg": Marked("keep"),
        "cat/gone.jpg": Marked("drop"),
    }
    data = load_marked(tmp_path, marks)
    dropped, relabelled = map(plain.paths.index, ("cat/003.tif", "dog/004.jpg"))
    for part in ("train", "val", "test"):
        expected = [index for index in getattr(plain, part).tolist() if index != dropped]
        assert getattr(data, part).tolist() == expected
    assert (data.labels != plain.labels).nonzero().flatten().tolist() == [relabelled]
    assert data.given_labels.equal(plain.labels)
    assert data.marks.startswith("1 dropped, 1 relabelled (")
    assert data.notices[-1].endswith(
        "1 dropped, 1 relabelled; 1 marked image is gone, renamed or unreadable (cat/gone.jpg)"
    )
    assert data.fingerprint() != plain.fingerprint()


def test_ignored_and_ineffective_marks_change_nothing(tmp_path, plain):
    ignored = load_marked(tmp_path, {"cat/003.tif": Marked("drop")}, marks="ignore")
    kept = load_marked(tmp_path, {"cat/003.tif": Marked("keep")})
    for data in (ignored, kept):
        assert (data.fingerprint(), data.marks) == (plain.fingerprint(), "")


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    ("marks", "text"),
    [
        (
            {"cat/003.tif": Marked("relabel", "dgo")},
            "cat/003.tif is relabelled as 'dgo', which is not a class; did you mean 'dog'",
        ),
        (
            {f"train/{number}.jpg": Marked("drop") for number in range(10)},
            "10 of 10 marked images do not exist .* another data set.* --set data.marks=ignore",
        ),
    ],
)
def test_marks_that_do_not_fit_the_images_are_refused(tmp_path, marks, text):
    with pytest.raises(DataError, match=f"{MARKS_FILE}: {text}"):
        load_marked(tmp_path, marks)


def test_dropping_all_images_of_a_class_is_refused_with_the_file(tmp_path, plain):
    marks = {path: Marked("drop") for path in plain.paths if path.startswith("cat")}
    with pytest.raises(DataError, match=f"'cat'.*drop fewer .*{MARKS_FILE}: 20 dropped"):
        load_marked(tmp_path, marks)
