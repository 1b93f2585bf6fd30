"""Reading and validating untrusted JSON files."""

import os
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from cnn_engine.errors import ConfigError, DataError
from cnn_engine.storage.json_files import Finite, read_json, read_json_header


class Content(msgspec.Struct):
    name: str
    sizes: tuple[Annotated[int, Meta(ge=1)], ...] = ()
    mean: tuple[Finite, ...] = ()


def read(path):
    return read_json(path, Content, format_=2, max_bytes=1000)


def write(tmp_path, content):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    return path


def test_content_is_decoded_and_unknown_keys_are_ignored(tmp_path):
    path = write(tmp_path, b'{"format": 1, "name": "a\\udcff", "sizes": [1, 2], "more": {}}')
    assert read(path) == Content(name="a\udcff", sizes=(1, 2))


def test_header_is_followed_by_bytes(tmp_path):
    path = write(tmp_path, b'{"format": 2, "name": "a"}\n\xff\n\x00')
    content, rest = read_json_header(path, Content, format_=2, max_bytes=1000)
    assert (content.name, rest) == ("a", b"\xff\n\x00")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"\xff", b"[" * 900),
        b'{"name": "a"}',
        b'{"format": true, "name": "a"}',
        b'{"format": "1", "name": "a"}',
        b'{"format": 1}',
        b'{"format": 1, "name": 5}',
        b'{"format": 1, "name": "a", "sizes": [0]}',
        b'{"format": 1, "name": "a", "sizes": [1.5]}',
        b'{"format": 1, "name": "a", "sizes": [true]}',
        b'{"format": 1, "name": "a", "sizes": 3}',
        b'{"format": 1, "name": "a", "mean": [NaN]}',
        b'{"format": 1, "name": "a", "mean": [Infinity]}',
        b'{"format": 1, "name": "a", "mean": [1e999]}',
        b'{"format": 1, "name": "a", "mean": [' + b"9" * 400 + b"]}",
    ],
)
def test_invalid_content_is_named(tmp_path, content):
    path = write(tmp_path, content)
    with pytest.raises(DataError, match="is damaged, or was not written by cnn-tui") as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_newer_format_is_refused(tmp_path):
    path = write(tmp_path, b'{"format": 3, "other": 1}')
    with pytest.raises(ConfigError, match="newer version of cnn-tui"):
        read(path)


def test_large_missing_and_special_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="is over 1,000 bytes"):
        read(write(tmp_path, b" " * 1001))
    with pytest.raises(DataError, match="there is no such file"):
        read(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="there is no such file"):
        read(tmp_path / "pipe")
