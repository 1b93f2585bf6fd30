"""Size limits of the image cache, full disks, and training without a writable cache."""

import json
import os
from collections import namedtuple

import pytest

from cached_folders import cache_files
from cnn_engine.data import cache
from cnn_engine.runlog.events import Notice
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.session.engine import Engine
from cnn_engine.session.request import Request
from photos_for_tests import load_folder
from runs_for_tests import SMALL

Usage = namedtuple("Usage", "free")


def set_last_used(seconds):
    """Set the time of last use of the newest entry, and return its path."""
    (newest,) = (entry for entry in cache.entries() if entry.last_used > 1e9)
    os.utime(newest.path, (seconds, seconds))
    return newest.path


def test_least_recently_used_entries_are_evicted(pets, monkeypatch):
    paths = []
    for seconds, size in ((1, 8), (2, 9), (3, 10)):
        load_folder(pets, image_size=size)
        paths.append(set_last_used(seconds))
    load_folder(pets, image_size=8)  # now more recently used than the others
    total = sum(entry.bytes for entry in cache.entries())
    monkeypatch.setattr(cache, "LIMIT_BYTES", total)
    load_folder(pets, image_size=11)
    shapes = {entry.index.shape[1] for entry in cache.entries()}
    assert shapes == {8, 11}
    assert not paths[1].exists()


def test_entry_larger_than_the_limit_is_the_only_one(pets, monkeypatch):
    load_folder(pets, image_size=8)
    monkeypatch.setattr(cache, "LIMIT_BYTES", 10)
    load_folder(pets)
    assert [entry.index.shape[1] for entry in cache.entries()] == [16]


def test_nearly_full_disk_is_not_filled(pets, monkeypatch, decoded):
    load_folder(pets, image_size=8)
    free = cache.FREE_BYTES + 100
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda _: Usage(free))
    data = load_folder(pets)
    assert len(data.images) == 20
    assert "No space left on device" in data.notices[0]
    assert [entry.index.shape[1] for entry in cache.entries()] == [8], "evicted without need"


def test_images_are_decoded_into_memory_without_a_writable_cache(pets, cache_home, decoded):
    (cache_home / "cnn-tui").write_text("in the way")
    (pets / "cat" / "0a.png").write_bytes(b"x")
    for count in (21, 42):
        data = load_folder(pets, unreadable="skip")
        assert data.images[:, 0, 0, 0].tolist() == [*range(10, 20), *range(200, 210)]
        (notice,) = data.notices
        assert notice.startswith("decoded images cannot be cached in")
        assert len(decoded) == count


@pytest.mark.parametrize("call", ["posix_fallocate", "pwrite", "ftruncate", "fsync"])
def test_full_disk_adds_notice(pets, monkeypatch, call):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, refuse)
    data = load_folder(pets)
    assert "No space left on device" in data.notices[0]
    assert data.images[:, 0, 0, 0].tolist() == [*range(10, 20), *range(200, 210)]
    assert cache_files() == []


def test_run_reports_failed_cache_write(pets, cache_home, tmp_path):
    (cache_home / "cnn-tui").write_text("in the way")
    recorder = Recorder(create_run(tmp_path / "runs"))
    settings = ["data.image_size=16", f"data.path={json.dumps(str(pets))}", "train.epochs=1"]
    engine = Engine(Request.from_preset("folder", [*SMALL, *settings]), recorder)
    engine.start()
    engine.join()
    assert engine.exit_code == 0
    assert any("cannot be cached" in notice.text for notice in recorder.state.notices)
    assert all(isinstance(notice, Notice) for notice in recorder.state.notices)
