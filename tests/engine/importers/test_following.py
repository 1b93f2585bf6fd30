"""Import of growing logs, and the import command."""

import errno
import os
import signal
import subprocess

import pytest

from cnn_engine.errors import StorageError
from cnn_engine.importers.importer import Importer
from cnn_engine.importers.open import open_source
from cnn_engine.runlog.events import EpochFinished, StepsFinished
from cnn_engine.runlog.log import LogReader, is_held
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.summary import read_state
from cnn_tui.cli.import_ import ImportFollower
from imports_for_tests import KERAS, LIGHTNING, EventFile, import_text, notices_of
from runs_for_tests import events_of, wait_until
from terminal import CLI, cnn_tui, environment


def test_growing_table_is_followed(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,loss,val_loss\n10,3,\n20,2,\n")
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(path), run)
    assert importer.poll()
    assert is_held(run.events)
    assert not events_of(run, EpochFinished)
    with path.open("a") as file:
        file.write("20,,1.5\n30,1.0,\n40,0.")
    importer.poll()
    assert [event.val_loss for event in events_of(run, EpochFinished)] == [1.5]
    assert list(read_state(run)[0].curve.steps) == [10, 20, 30]
    with path.open("a") as file:
        file.write("5,\n40,,0.7\n")
    importer.poll()
    importer.close(ended=False)
    state, _ = read_state(run)
    assert list(state.curve.steps) == [10, 20, 30, 40]
    assert state.steps_per_epoch == 20
    assert [epoch.epoch for epoch in state.epochs] == [1, 2]
    assert (state.status, is_held(run.events)) == ("stopped", False)


def test_growing_event_files_are_followed(tmp_path):
    event_file = EventFile(tmp_path / "logs")
    event_file.scalar("loss", 1, 2.0)
    event_file._writer.flush()
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(tmp_path / "logs"), run)
    assert importer.poll()
    event_file.scalar("loss", 2, 1.0).scalar("val_loss", 2, 0.5).scalar("memory", 2, 9.0)
    event_file.close()
    importer.poll()
    importer.close(ended=True)
    state, _ = read_state(run)
    assert list(state.curve.losses) == [2.0, 1.0]
    assert len(state.epochs) == 1
    assert notices_of(run) == [
        "loss is used as training loss",
        "val_loss is used as validation loss",
        "Not shown: memory",
    ]


def test_state_read_from_the_log_equals_state_of_its_events(tmp_path):
    run = import_text(tmp_path, LIGHTNING)
    state = RunState()
    for event in LogReader(run.events).poll():
        state.apply(event)
    read, _ = read_state(run)
    assert state.curve == read.curve
    assert repr(state) == repr(read)  # as text, because NaN != NaN


def test_import_command_prints_roles_and_run(tmp_path):
    (tmp_path / "log.csv").write_text(KERAS)
    result = cnn_tui("import", "log.csv", "--name", "other", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert result.stdout == f"{run.name}\n"
    assert "val_loss is used as validation loss" in result.stderr
    assert "other" in cnn_tui("runs", cwd=tmp_path).stdout
    refused = cnn_tui("pause", run.name, cwd=tmp_path)
    assert (refused.returncode, "cannot be controlled" in refused.stderr) == (2, True)


def test_failed_import_leaves_no_run(tmp_path):
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    result = cnn_tui("import", "log.csv", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.count("\n") == 1
    assert not list((tmp_path / "runs").iterdir())


def test_write_error_while_following_is_reported_at_end(tmp_path, monkeypatch):
    (tmp_path / "log.csv").write_text("loss\n3\n")
    source = open_source(tmp_path / "log.csv")
    run = create_run(tmp_path / "runs")
    importer = Importer(source, run)
    importer.poll()
    follower = ImportFollower(importer, run)
    follower.start()

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(StorageError, match="could not be written: No space left"):
        follower.stop()


def test_following_continues_until_signal(tmp_path):
    (tmp_path / "log.csv").write_text("loss\n3\n")
    process = subprocess.Popen(
        [*CLI, "import", "log.csv", "--follow"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        run = RunDirectory(tmp_path / "runs" / process.stdout.readline().strip())
        with (tmp_path / "log.csv").open("a") as log:
            log.write("2\n")
        wait_until(lambda: len(events_of(run, StepsFinished)) == 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert read_state(run)[0].status == "stopped"
