"""Files that another process replaces."""

import shutil

from cnn_engine.results.model_layers import LAYERS_FILE, read_layers
from cnn_tui.live.watched_file import WatchedFile
from golden import DATA


def test_watched_file_is_read_only_when_changed(tmp_path):
    path, reads = tmp_path / "file", []

    def read(path):
        reads.append(path.read_text())
        return reads[-1]

    file = WatchedFile(path, read)
    file.refresh()
    assert (file.value, file.error, reads) == (None, "", [])
    path.write_text("one")
    file.refresh()
    file.refresh()
    assert (file.value, reads) == ("one", ["one"])
    other = tmp_path / "other"
    other.write_text("two")
    other.replace(path)
    file.refresh()
    assert file.value == "two"
    path.unlink()
    file.refresh()
    assert (file.value, file.error) == (None, "")


def test_watched_file_retries_after_error(tmp_path):
    path = tmp_path / "model.json"
    path.write_text("{")
    file = WatchedFile(path, read_layers)
    file.refresh()
    assert file.value is None
    assert "is damaged" in file.error
    shutil.copy(DATA / LAYERS_FILE, path)
    file.refresh()
    assert file.value is not None
    assert file.error == ""
    path.unlink()
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    file = WatchedFile(loop, read_layers)
    file.refresh()
    assert "cannot be read: Too many levels of symbolic links" in file.error
