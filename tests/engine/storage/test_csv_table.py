"""Reading CSV files that people write."""

import pytest

from cnn_engine.errors import DataError
from cnn_engine.storage.csv_table import read_csv


def write(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"path,label\na b.jpg,cat\nc.jpg,dog\n",
        b"\xef\xbb\xbfpath;label\r\na b.jpg;cat\r\n\r\nc.jpg;dog;\r\n",
        b'\npath\tlabel \n"a b.jpg"\tcat\nc.jpg\tdog',
    ],
)
def test_delimiter_byte_order_mark_and_blank_lines(tmp_path, content):
    table = read_csv(write(tmp_path, content))
    assert table.columns == ["path", "label"]
    assert [row.cells for row in table.rows] == [["a b.jpg", "cat"], ["c.jpg", "dog"]]
    lines = content.split(b"\n")
    assert all(row.cells[0].encode() in lines[row.line - 1] for row in table.rows)


def test_line_numbers_count_lines_in_quotes(tmp_path):
    table = read_csv(write(tmp_path, b'path,label\n"a\nb.jpg",cat\nc.jpg,dog\n'))
    assert [row.line for row in table.rows] == [2, 4]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"path,label\na.jpg,cat\nb.jpg\n", "line 3: has 1 cells, but the header has 2"),
        (b"path,label\na.jpg,cat,dog\n", "line 2: has 3 cells"),
        (b"path,label\na.jpg,caf\xe9\n", "line 2: is not UTF-8"),
        ("path,label\na.jpg,cat\n".encode("utf-16"), "is UTF-16"),
        (b'path,label\na.jpg,"cat\nb.jpg,dog\n', "line 2: is not CSV"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path, content, text):
    with pytest.raises(DataError, match=text):
        read_csv(write(tmp_path, content))


def test_missing_file_and_directory_are_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(DataError, match=str(tmp_path)):
        read_csv(tmp_path)
