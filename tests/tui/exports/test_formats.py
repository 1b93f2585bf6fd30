"""Export formats: files, overwriting and errors."""

import pytest

from cnn_engine.errors import ConfigError, StorageError
from cnn_tui.exports.formats import RECORD_FORMATS, export_record


@pytest.mark.parametrize("format_", RECORD_FORMATS)
def test_existing_files_are_replaced_only_with_force(completed, tmp_path, monkeypatch, format_):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    path, damaged_lines = export_record([completed.run], format_, None)
    assert damaged_lines == 0
    assert path.exists()
    with pytest.raises(ConfigError, match="already exists; replace it with --force"):
        export_record([completed.run], format_, None)
    assert export_record([completed.run], format_, None, force=True).path == path
    assert not list(tmp_path.rglob("*.tmp"))


def test_damaged_lines_are_counted(completed, tmp_path):
    with completed.run.events.open("a") as log:
        log.write("no event\n")
    assert export_record([completed.run], "csv", tmp_path / "out.csv").damaged_lines == 1


def test_unwritable_paths_are_reported(completed, tmp_path):
    for format_ in RECORD_FORMATS:
        with pytest.raises(StorageError, match="cannot be written"):
            export_record([completed.run], format_, completed.run.events / "x")


def test_single_run_formats_reject_several_runs(completed):
    with pytest.raises(ConfigError, match="takes a single run, not 2"):
        export_record([completed.run] * 2, "html", None)
