import fcntl
import os

import pytest

from cnn_engine.storage.locks import is_locked, lock, open_locked


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.lock"


def test_lock_is_refused_until_it_is_released(path):
    held = open_locked(path, fcntl.LOCK_EX)
    assert is_locked(path)
    assert open_locked(path, fcntl.LOCK_EX) is None
    assert open_locked(path, fcntl.LOCK_SH, seconds=0.02) is None
    os.close(held)
    assert not is_locked(path)


def test_shared_lock_excludes_exclusive_ones_only(path):
    held, other = open_locked(path, fcntl.LOCK_EX), os.open(path, os.O_RDWR)
    assert lock(held, fcntl.LOCK_SH)
    assert lock(other, fcntl.LOCK_SH)
    assert not lock(other, fcntl.LOCK_EX)
    assert not is_locked(path)
    os.close(held)
    os.close(other)


def test_missing_file_is_not_locked_and_not_created(path):
    assert not is_locked(path)
    assert not path.exists()


def test_link_is_not_followed(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        open_locked(path, fcntl.LOCK_EX)
    assert not (tmp_path / "elsewhere").exists()
