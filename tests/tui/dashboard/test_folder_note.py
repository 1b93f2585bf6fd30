"""The form for a new run describes a folder while its path is typed."""

import pytest

from cnn_tui.dashboard.dialogs.folder_note import FolderNote, folder_note


def test_folders_are_named(tmp_path):
    for name in ("cat", "dog", ".cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert folder_note(str(tmp_path)) == FolderNote("2 folders: cat, dog", is_error=False)
    for name in "abcd":
        (tmp_path / name).mkdir()
    assert folder_note(str(tmp_path)).text == "6 folders: a, b, c, cat, …"


@pytest.mark.parametrize("path", ["missing", "file", "", "a\0b", "x" * 5000])
def test_what_is_no_folder_is_an_error(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert folder_note(path).is_error


def test_home_and_escapes(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos" / "\x1b[2Jcat").mkdir(parents=True)
    note = folder_note("~/photos")
    assert note.text.startswith("1 folder: ")
    assert "\x1b" not in note.text


def test_folder_without_folders_is_an_error(tmp_path):
    assert folder_note(str(tmp_path)).is_error
