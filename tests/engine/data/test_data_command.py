"""`cnn-tui data`: list, clear, fetch."""

import json

from cached_folders import cache_files
from cnn_engine.data import cache
from photos_for_tests import load_folder
from terminal import cnn_tui


def test_entries_are_shown(pets):
    load_folder(pets)
    load_folder(pets, channels=1)
    lines = cnn_tui("data").stdout.splitlines()
    assert len(lines) == 5
    assert lines[1].split()[:2] == ["20", "16×16×1"]
    assert lines[2].endswith(str(pets))
    pets.rename(pets.with_name("elsewhere"))
    assert cnn_tui("data").stdout.count("(missing)") == 2


def test_entries_are_shown_as_json(pets):
    load_folder(pets)
    (path,) = cache_files()
    listing = json.loads(cnn_tui("data", "--json").stdout)
    (entry,) = listing["entries"]
    assert (entry["folder"], entry["folder_exists"]) == (str(pets), True)
    assert (entry["images"], entry["image_shape"]) == (20, [16, 16, 3])
    assert entry["bytes"] == listing["bytes"] == path.stat().st_size
    assert listing["limit_bytes"] == cache.LIMIT_BYTES


def test_damaged_entry_is_shown_and_cleared(pets):
    load_folder(pets)
    (path,) = cache_files()
    path.write_bytes(b"x")
    assert "damaged" in cnn_tui("data").stdout
    assert cnn_tui("data", "clear").stdout.startswith("1 bytes freed")
    assert cache_files() == []


def test_empty_cache_is_reported(cache_home):
    result = cnn_tui("data")
    assert (result.returncode, result.stdout) == (0, "")
    assert "No decoded images" in result.stderr
    assert cnn_tui("data", "clear").stdout == "0 bytes freed (0 folders)\n"


def test_one_folder_is_cleared_or_all(pets, tmp_path):
    other = tmp_path / "other"
    pets.rename(other)
    load_folder(other)
    other.rename(pets)
    load_folder(pets)
    size = sum(entry.bytes for entry in cache.entries() if entry.index.folder == str(pets))
    assert cnn_tui("data", "clear", str(pets)).stdout == f"{size:,} bytes freed (1 folder)\n"
    assert [entry.index.folder for entry in cache.entries()] == [str(other)]
    assert cnn_tui("data", "clear").returncode == 0
    assert cache_files() == []


def test_failed_download_prints_one_line_and_exits_3(tmp_path, run_cli):
    (tmp_path / "file").write_text("in the way")
    code, out, errors = run_cli("data", "fetch", "--data-dir", tmp_path / "file", cwd=tmp_path)
    assert (code, out) == (3, "")
    (line,) = errors.splitlines()
    assert line.startswith("cnn-tui: CIFAR-10 cannot be downloaded")
