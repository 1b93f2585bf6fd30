"""Marks on images."""

import pytest

from cnn_engine.data.marks import MARKS_FILE, Marked, read_marks, write_marks
from cnn_engine.errors import DataError, StorageError

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
