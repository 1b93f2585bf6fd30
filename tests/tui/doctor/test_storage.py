"""Checks of the directories that a run writes to."""

import errno
import fcntl
import os
import threading
from types import SimpleNamespace

import pytest

from cnn_tui.doctor import file_systems, storage


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/runs"])
def test_directory_that_cannot_be_written_is_an_error(checks, place):
    code, found = checks("--runs-dir", place)
    assert (code, found["runs"]["state"]) == (5, "error")
    assert f"{place} cannot be written: Not a directory" in found["runs"]["value"]
    assert found["runs"]["advice"] == "use --runs-dir DIR"


def test_cache_that_cannot_be_written_is_no_error(checks, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    code, found = checks()
    assert (code, found["image cache"]["state"]) == (0, "warning")
    assert found["image cache"]["advice"] == "set XDG_CACHE_HOME to another directory"


def test_nothing_is_left_in_the_directories(checks, tmp_path, cache_home):
    code, found = checks("--runs-dir", tmp_path / "new/runs")
    assert (code, found["runs"]["facts"]["locks"]) == (0, "work")
    assert list(tmp_path.iterdir()) == list(cache_home.iterdir()) == []


@pytest.mark.parametrize(
    ("lock", "code", "state", "value"),
    [
        (lambda *_: None, 0, "warning", "locks have no effect"),
        (OSError(errno.ENOLCK, "No locks available"), 5, "error", "a file cannot be locked"),
    ],
    ids=["no-effect", "fail"],
)
def test_locks_that_do_not_work_are_reported(checks, monkeypatch, lock, code, state, value):  # noqa: PLR0917
    """As on NFS without a lock server, or Lustre without the option flock."""

    def flock(*_):
        if isinstance(lock, OSError):
            raise lock

    fake = SimpleNamespace(flock=flock, LOCK_EX=fcntl.LOCK_EX, LOCK_NB=fcntl.LOCK_NB)
    monkeypatch.setattr(file_systems, "fcntl", fake)
    found_code, found = checks()
    assert (found_code, found["runs"]["state"]) == (code, state)
    assert value in found["runs"]["value"]
    assert found["image cache"]["state"] == "ok"


def test_network_file_system_is_named(checks, monkeypatch, tmp_path):
    mounts = [
        SimpleNamespace(mountpoint="/", fstype="ext4"),
        SimpleNamespace(mountpoint=str(tmp_path), fstype="autofs"),
        SimpleNamespace(mountpoint=str(tmp_path), fstype="nfs4"),
    ]
    monkeypatch.setattr(file_systems.psutil, "disk_partitions", lambda **_: mounts)
    _, found = checks()
    assert "on a network file system (nfs4), 0 runs" in found["runs"]["value"]
    assert found["temporary"]["facts"]["file_system"] == "ext4"


def test_little_disk_space_is_reported(checks, monkeypatch):
    usage = SimpleNamespace(free=5 * 10**8)
    monkeypatch.setattr(file_systems.shutil, "disk_usage", lambda _: usage)
    code, found = checks()
    assert (code, found["runs"]["state"]) == (0, "warning")
    assert found["runs"]["advice"] == "free disk space, or use --runs-dir DIR"


def test_server_that_does_not_answer_is_reported(checks, monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr(storage, "MAX_SECONDS", 0.05)
    monkeypatch.setattr(
        storage, "try_directory", lambda _: file_systems.Trial(f"late: {answers.wait(60)}")
    )
    code, found = checks()
    answers.set()
    assert (code, found["runs"]["state"]) == (5, "error")
    assert "has not answered within" in found["runs"]["value"]


def test_removed_working_directory_is_reported(checks, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_runs", lambda _: (tmp_path / "gone").stat())
    code, found = checks()
    assert (code, found["runs"]["value"]) == (5, f"the working directory: {os.strerror(2)}")
