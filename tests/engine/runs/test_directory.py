"""Creating, finding and listing run directories, and their cached summaries."""

import json
import os
import re

import pytest

from cnn_engine.data import cache
from cnn_engine.data.sources.subfolders import find_subfolders
from cnn_engine.errors import ConfigError, StorageError
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import (
    RunDirectory,
    create_run,
    default_runs_dir,
    list_runs,
)
from cnn_engine.runs.hints import command_for
from cnn_engine.runs.lookup import find_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.runs.summary import read_state, read_summary, store_summary
from cnn_engine.storage import user_directories
from golden import golden_lines, golden_run, running_run


def test_run_ids_are_unique(tmp_path):
    runs = [create_run(tmp_path / "runs") for _ in range(20)]
    assert len({run.id for run in runs}) == 20
    assert all(re.fullmatch(r"\d{4}-\d{4}-[a-z]+", run.id) for run in runs)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_error_names_unwritable_directory(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="cannot create a run here: Permission denied"):
        create_run(tmp_path / "runs")


def test_error_names_file_in_place_of_runs_directory(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(StorageError, match="cannot create a run here"):
        create_run(tmp_path / "runs")


def test_default_runs_dir_is_working_or_user_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(default_runs_dir()) == "runs"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert default_runs_dir().is_absolute()
    assert "cnn-tui" in default_runs_dir().parts


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """Work in a directory that cannot be written, as a user without a home directory."""

    def unknown(path):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(user_directories, "user_data_path", unknown)
    monkeypatch.setattr(user_directories, "user_cache_path", unknown)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "arguments", [("runs",), ("run", "digits"), ("show",), ("trash",), ("resume",), ()]
)
def test_error_without_any_directory_names_runs_dir(no_home, run_cli, tmp_path, arguments):
    """In a container HOME may be unset, the user unknown and the directory read-only."""
    code, _, errors = run_cli(*arguments, cwd=tmp_path)
    assert code == 5
    assert "name one with --runs-dir DIR" in errors
    assert errors.count("\n") == 1


def test_caches_without_a_home_directory_cannot_be_written(no_home, run_cli, tmp_path):
    code, _, errors = run_cli("data", cwd=tmp_path)
    assert (code, errors.count("\n")) == (0, 1)
    with pytest.raises(NotADirectoryError):
        cache.entry_path(tmp_path).parent.mkdir(parents=True)


def test_hints_and_image_folders_need_no_default_directory(no_home, tmp_path):
    """Commands with --runs-dir, and checks of images, work where there is no other directory."""
    run = RunDirectory(tmp_path / "kept" / "1124-0412-amber")
    assert command_for("resume", run) == f"cnn-tui resume {run.id} --runs-dir {tmp_path / 'kept'}"
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    assert find_subfolders(tmp_path / "photos") == [tmp_path / "photos" / "cat"]


def test_runs_of_an_unwritable_directory_are_read_there_and_new_ones_go_elsewhere(
    tmp_path, monkeypatch
):
    """Reading commands in a directory of somebody else find the runs in it."""
    monkeypatch.chdir(tmp_path)
    golden_run(tmp_path / "runs", "completed")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert str(default_runs_dir()) == "runs"
    assert default_runs_dir(for_new_run=True).is_absolute()


@pytest.fixture
def three_runs(tmp_path):
    """Create three runs and other files in a directory, and return its path."""
    for position, run_id in enumerate(("1124-0412-amber", "1124-0412-aspen", "1124-0500-teal")):
        run = golden_run(tmp_path, "completed", run_id)
        first, *rest = golden_lines("completed")
        values = json.loads(first) | {"time": 1000.0 + position}
        run.events.write_text("\n".join([json.dumps(values), *rest]) + "\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes.txt").write_text("not a run")
    return tmp_path


def test_error_without_runs_says_how_to_start_one(tmp_path):
    with pytest.raises(ConfigError, match=r"import cnn_tui .* with: cnn-tui run"):
        find_run(tmp_path / "runs", "latest")


def test_runs_are_listed_newest_first(three_runs):
    ids = [run.id for run in list_runs(three_runs)]
    assert ids == ["1124-0500-teal", "1124-0412-aspen", "1124-0412-amber"]


def test_summary_has_metrics(tmp_path):
    summary = read_summary(golden_run(tmp_path, "completed"))
    assert (summary.status, summary.epochs_done, summary.epochs) == ("done", 20, 20)
    assert summary.test_accuracy > 0.97
    assert summary.best_val_loss < 0.1
    assert (summary.name, summary.preset, summary.host) == ("baseline", "digits", "box")


@pytest.mark.parametrize("name", ["completed", "stopped", "failed", "resumed"])
def test_cached_and_computed_summaries_are_equal(tmp_path, name):
    run = golden_run(tmp_path, name)
    recomputed = read_summary(run)
    store_summary(read_state(run)[0], run)
    assert run.summary.exists()
    assert read_summary(run) == recomputed


def test_stale_or_damaged_cache_is_ignored(tmp_path):
    run = running_run(tmp_path, lines=30)
    store_summary(read_state(run)[0], run)
    golden = golden_lines("completed")
    run.events.write_text("\n".join(golden) + "\n")
    assert read_summary(run).status == "done"
    for content in (b"", b"{", b"[]", b"null", b'{"log_bytes": 1}', b"\xff"):
        run.summary.write_bytes(content)
        assert read_summary(run).status == "done"


def test_log_without_end_is_interrupted(tmp_path):
    run = running_run(tmp_path, lines=30)
    first, *rest = golden_lines("completed")[:30]
    first = json.dumps(json.loads(first) | {"host": os.uname().nodename})
    run.events.write_text("\n".join([first, *rest]) + "\n")
    assert read_summary(run).status == "interrupted"
    with Recorder(run):
        assert read_summary(run).status == "training"
    assert read_summary(run).status == "interrupted"


def test_run_on_another_machine_is_live_while_it_writes(tmp_path):
    run = running_run(tmp_path, lines=30)
    assert read_summary(run).status == "training"
    long_ago = run.events.stat().st_mtime - 3600
    os.utime(run.events, (long_ago, long_ago))
    assert read_summary(run).status == "interrupted"


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"garbage\nmore\n"])
def test_damaged_run_is_listed(tmp_path, content):
    run = RunDirectory(tmp_path / "1124-0412-amber")
    run.path.mkdir()
    run.events.write_bytes(content)
    summary = read_summary(run)
    assert summary.status == ("damaged" if content else "interrupted")
    assert summary.damaged_lines == content.count(b"\n")


@pytest.mark.parametrize("name", ["completed", "stopped", "failed"])
def test_every_prefix_of_a_log_gives_a_state(tmp_path, name):
    run = golden_run(tmp_path, name)
    content = run.events.read_bytes()
    before = RunState()
    for end in range(0, len(content), 97):
        run.events.write_bytes(content[:end])
        state, damaged = read_state(run)
        assert damaged == 0
        assert len(state.epochs) >= len(before.epochs)
        assert state.seconds_left is None or state.seconds_left >= 0
        before = state
