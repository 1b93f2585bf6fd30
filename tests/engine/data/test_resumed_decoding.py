"""Decoding of a folder that continues where an earlier process has stopped."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cached_folders import cache_files, save
from cnn_engine.data import cache, continued_entry, waiting
from cnn_engine.data.sources import folder
from photos_for_tests import load_folder
from terminal import environment

DECODED = 7
"""Images that are decoded before a process hangs."""

HANGING = f"""
import sys
from cnn_engine.config.schema import DataConfig
from cnn_engine.data.sources import folder

real, decoded = folder.decode, []

def decode(path, *arguments):
    if len(decoded) == {DECODED}:
        print("hanging", flush=True)
        sys.stdin.read()
    decoded.append(path)
    return real(path, *arguments)

folder.decode = decode
folder.read(DataConfig(source="folder", path=sys.argv[1], image_size=16), lambda *_: None)
"""


@pytest.fixture
def unfinished(pets, monkeypatch):
    """Interrupt the decoding of a part of the images; return the unfinished entry."""
    real, paths = folder.decode, []

    def decode(path, *arguments):
        if len(paths) == DECODED:
            raise KeyboardInterrupt
        paths.append(path)
        return real(path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(folder, "decode", decode)
        with pytest.raises(KeyboardInterrupt):
            load_folder(pets)
    (path,) = cache_files()
    return path


@pytest.fixture
def fresh(cache_home, monkeypatch):
    """Return a function that loads a folder with an empty cache."""

    def load(path):
        with monkeypatch.context() as patched:
            patched.setattr(cache, "cache_directory", lambda: cache_home / "fresh")
            return load_folder(path).images.tolist()

    return load


def test_killed_decoding_is_continued(pets, decoded, fresh):
    with subprocess.Popen(
        [sys.executable, "-c", HANGING, str(pets)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout.readline() == b"hanging\n"
        (path,) = cache_files()
        assert cache.clear() == []
        assert path.exists(), "a file locked by a running process was removed"
        process.send_signal(signal.SIGKILL)
    assert cache_files() == [path]
    images = load_folder(pets).images
    assert len(decoded) == 20 - DECODED
    assert [path.suffix for path in cache_files()] == [".pixels"]
    assert images.tolist() == fresh(pets)


@pytest.mark.usefixtures("unfinished")
def test_unfinished_entry_is_shown_and_cleared(pets, run_cli, tmp_path):
    (entry,) = cache.entries()
    assert (entry.decoded, entry.is_finished) == (DECODED, False)
    listed = json.loads(run_cli("data", "--json", cwd=tmp_path)[1])["entries"]
    assert [(one["images"], one["total_images"]) for one in listed] == [(DECODED, 20)]
    assert f"{DECODED} of 20" in run_cli("data", cwd=tmp_path)[1]
    assert "(1 folder)" in run_cli("data", "clear", pets, cwd=tmp_path)[1]
    assert cache_files() == []


@pytest.mark.usefixtures("unfinished")
def test_progress_counts_what_was_decoded_before(pets, monkeypatch):
    monkeypatch.setattr(waiting, "PROGRESS_SECONDS", 0.001)
    reports = []
    load_folder(pets, lambda *report: reports.append(report))
    counts = [done for task, done, total in reports if (task, total) == ("decoding images", 20)]
    assert min(counts) >= DECODED


def altered(pets):
    save(pets / "cat" / "3.png", 99)


def added(pets):
    save(pets / "cat" / "00.png", 55)


def removed(pets):
    (pets / "cat" / "3.png").unlink()


def renamed(pets):
    (pets / "cat" / "3.png").rename(pets / "dog" / "33.png")


@pytest.mark.parametrize(
    ("change", "count"), [(altered, 14), (added, 14), (removed, 13), (renamed, 14)]
)
@pytest.mark.usefixtures("unfinished")
def test_files_changed_since_are_decoded_again(pets, decoded, fresh, change, count):
    change(pets)
    images = load_folder(pets).images
    assert len(decoded) == count
    assert images.tolist() == fresh(pets)


@pytest.mark.parametrize("change", [None, added])
def test_images_with_wrong_pixels_are_decoded_again(pets, unfinished, decoded, fresh, change):
    """After a power cut, the pixels of a recorded image may not be on disk."""
    with unfinished.open("r+b") as file:
        file.seek(2 * 16 * 16 * 3)
        file.write(bytes(100))
    if change:
        change(pets)
    images = load_folder(pets).images
    assert len(decoded) == 14 + (change is added)
    assert images.tolist() == fresh(pets)


@pytest.mark.parametrize("damage", [lambda _: b"", lambda content: content[:-3]])
def test_damaged_unfinished_entry_is_decoded_again(pets, unfinished, decoded, damage):
    unfinished.write_bytes(damage(unfinished.read_bytes()))
    assert len(load_folder(pets).images) == len(decoded) == 20
    assert [path.suffix for path in cache_files()] == [".pixels"]


def test_stop_keeps_what_is_decoded(pets, decoded, monkeypatch):
    monkeypatch.setattr(waiting, "PROGRESS_SECONDS", 0.001)
    real = folder.decode
    monkeypatch.setattr(folder, "decode", lambda *given: time.sleep(0.005) or real(*given))

    def stop_after_five(task, done, total):
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_folder(pets, stop_after_five)
    before = len(decoded)
    assert 5 <= before < 20
    load_folder(pets)
    assert len(decoded) == 20


def test_another_process_is_waited_for(pets, unfinished, decoded, monkeypatch):
    monkeypatch.setattr(continued_entry, "WAIT_SECONDS", 0.01)
    reports, loaded = [], []
    with unfinished.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        load = lambda: loaded.append(load_folder(pets, lambda *report: reports.append(report)))  # noqa: E731
        thread = threading.Thread(target=load)
        thread.start()
        while ("waiting for another process that decodes these images", 0, 0) not in reports:
            time.sleep(0.01)
        assert not loaded
    thread.join()
    assert len(loaded[0].images) == 20
    assert len(decoded) == 13


def test_old_unfinished_entry_is_removed(pets, unfinished):
    load_folder(pets, image_size=8)
    assert unfinished.exists()
    os.utime(unfinished, (1, 1))
    load_folder(pets, image_size=9)
    assert not unfinished.exists()


def test_disk_without_space_for_two_entries(pets, unfinished, decoded, monkeypatch):
    """The images are copied to a new entry after a change; if both do not fit, all are decoded."""
    added(pets)
    real, calls = os.posix_fallocate, []

    def refuse_first(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(os, "posix_fallocate", refuse_first)
    data = load_folder(pets)
    assert len(data.images) == len(decoded) == 21
    assert data.notices == ()
    assert [path.suffix for path in cache_files()] == [".pixels"]


def test_file_system_without_locks(pets, decoded, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        assert len(load_folder(pets).images) == len(decoded) == 20
    assert [path.suffix for path in cache_files()] == [".pixels"]
