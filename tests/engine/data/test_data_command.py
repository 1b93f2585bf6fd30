"""`cnn-tui data`: list, clear, fetch."""

import json

import pytest

from cached_folders import cache_files
from cnn_engine.data import cache
from photos_for_tests import load_folder


@pytest.fixture
def data(run_cli, tmp_path):
    """Return a function that runs `data`: exit code, stdout, stderr."""
    return lambda *arguments: run_cli("data", *arguments, cwd=tmp_path)


def test_entries_are_shown(pets, data):
    load_folder(pets)
    load_folder(pets, channels=1)
    lines = data()[1].splitlines()
    assert len(lines) == 5
    assert lines[1].split()[:2] == ["20", "16×16×1"]
    assert lines[2].endswith(str(pets))
    pets.rename(pets.with_name("elsewhere"))
    assert data()[1].count("(missing)") == 2


def test_entries_are_shown_as_json(pets, data):
    load_folder(pets)
    (path,) = cache_files()
    listing = json.loads(data("--json")[1])
    (entry,) = listing["entries"]
    assert (entry["folder"], entry["folder_exists"]) == (str(pets), True)
    assert (entry["images"], entry["image_shape"]) == (20, [16, 16, 3])
    assert entry["bytes"] == listing["bytes"] == path.stat().st_size
    assert listing["limit_bytes"] == cache.LIMIT_BYTES


def test_damaged_entry_is_shown_and_cleared(pets, data):
    load_folder(pets)
    (path,) = cache_files()
    path.write_bytes(b"x")
    assert "damaged" in data()[1]
    assert data("clear")[1].startswith("1 bytes freed")
    assert cache_files() == []


def test_empty_cache_is_reported(cache_home, data):
    code, out, error = data()
    assert (code, out) == (0, "")
    assert "No decoded images" in error
    assert data("clear")[1] == "0 bytes freed (0 folders)\n"


def test_one_folder_is_cleared_or_all(pets, tmp_path, data):
    other = tmp_path / "other"
    pets.rename(other)
    load_folder(other)
    other.rename(pets)
    load_folder(pets)
    size = sum(entry.bytes for entry in cache.entries() if entry.index.folder == str(pets))
    assert data("clear", pets)[1] == f"{size:,} bytes freed (1 folder)\n"
    assert [entry.index.folder for entry in cache.entries()] == [str(other)]
    assert data("clear")[0] == 0
    assert cache_files() == []


def test_failed_download_prints_one_line_and_exits_3(tmp_path, run_cli):
    (tmp_path / "file").write_text("in the way")
    code, out, errors = run_cli("data", "fetch", "--data-dir", tmp_path / "file", cwd=tmp_path)
    assert (code, out) == (3, "")
    (line,) = errors.splitlines()
    assert line.startswith("cnn-tui: CIFAR-10 cannot be downloaded")
