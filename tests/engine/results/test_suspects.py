"""The file of images with suspicious labels."""

import pytest

from cnn_engine.errors import ConfigError, DataError
from cnn_engine.results.suspects import (
    SUSPECTS_FILE,
    Suspect,
    Suspects,
    encode_suspects,
    read_suspects,
)
from cnn_engine.runs.directory import RunDirectory


def suspect(name, score, kind="label", **changes):
    values = {"kind": kind, "name": name, "label": 0, "likely": 1, "score": score}
    values |= {"pixels": b"abc", "width": 1, "height": 1, "channels": 3}
    return Suspect(**values | changes)


def write(path, *suspects, **changes):
    file = Suspects(method="m", classes=["cat", "dog"], suspects=list(suspects))
    content = encode_suspects(file)
    for old, new in changes.items():
        content = content.replace(f'"{old}":'.encode(), f'"{old}":{new},"old":'.encode())
    (path / SUSPECTS_FILE).write_bytes(content)
    return RunDirectory(path)


def test_suspects_are_read_by_kind_and_score(tmp_path):
    run = write(
        tmp_path,
        suspect("c", 0.9, "outlier", likely=0),
        suspect("b", 0.2),
        suspect("a", 0.7, other="d"),
    )
    read = read_suspects(run)
    assert [each.name for each in read.suspects] == ["a", "b", "c"]
    assert (read.method, read.classes, read.suspects[0].other) == ("m", ["cat", "dog"], "d")
    assert read.suspects[0].pixels == b"abc"


def test_missing_file_names_the_command_that_creates_it(tmp_path):
    with pytest.raises(DataError, match=r"there is no such file; .*data suspects"):
        read_suspects(RunDirectory(tmp_path))


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"score": "1.5"}, DataError, "score"),
        ({"likely": "2"}, DataError, "a: has a class that the file does not name"),
        ({"width": "2"}, DataError, "do not fit its shape"),
        ({"kind": '"x"'}, DataError, "kind"),
        ({"format": "2"}, ConfigError, "newer version"),
    ],
)
def test_damaged_file_is_refused(tmp_path, changes, error, text):
    run = write(tmp_path, suspect("a", 0.5), **changes)
    with pytest.raises(error, match=text):
        read_suspects(run)


def test_pictures_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="differ in size"):
        Suspects(
            method="",
            classes=["cat", "dog"],
            suspects=[suspect("a", 1), suspect("b", 1, pixels=b"abcdef", width=2)],
        )
