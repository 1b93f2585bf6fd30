"""A run directory that is moved, removed or replaced while its run is trained."""

import shutil
import signal
import subprocess

import pytest

from cnn_engine.errors import StorageError
from cnn_engine.runlog import events
from cnn_engine.runlog.log import GONE
from cnn_engine.runs.directory import RunDirectory
from cnn_engine.runs.summary import read_state
from runs_for_tests import RunForTests, events_of, wait_until
from terminal import CLI, ENDLESS_RUN, Terminal, environment
from terminal_runs import only_run, wait_for_epochs


def remove(path):
    while path.exists():  # training may add or rename a file meanwhile
        shutil.rmtree(path, ignore_errors=True)


def move(path):
    path.rename(path.with_name("moved"))


def replace(path):
    move(path)
    shutil.copytree(path.with_name("moved"), path)


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.fixture
def training(tmp_path):
    run = RunForTests(tmp_path / "runs", "train.epochs=100000")
    run.engine.start()
    wait_until(lambda: run.live_state.checkpoints)
    yield run
    run.engine.request_stop(signal.SIGTERM)
    run.engine._thread.join()


@pytest.mark.parametrize("change", [remove, move, replace])
def test_gone_directory_is_noticed_and_a_signal_ends_with_5(training, change):
    """`rm -rf` or `mv` of a run that is trained: nothing more is saved, and an error says so."""
    change(training.directory.path)
    wait_until(lambda: training.engine.write_error == GONE)
    step = training.live_state.steps_done
    wait_until(lambda: training.live_state.steps_done > step)  # still training
    if change is replace:
        copied = contents(training.directory.path)
    training.engine.request_stop(signal.SIGTERM)
    with pytest.raises(StorageError, match=GONE):
        training.engine.join()
    assert training.engine.exit_code == 5
    if change is replace:  # another process may train the copy
        assert contents(training.directory.path) == copied


def test_directory_that_is_moved_back_loses_nothing(training):
    path = training.directory.path
    move(path)
    wait_until(lambda: training.engine.write_error == GONE)
    path.with_name("moved").rename(path)
    wait_until(lambda: not training.engine.write_error)
    training.engine.request_stop(signal.SIGTERM)
    training.engine.join()
    assert training.engine.exit_code == 143
    state, damaged = read_state(RunDirectory(path))
    assert (state.status, damaged) == ("stopped", 0)
    assert any("no events were lost" in notice.text for notice in state.notices)
    assert events_of(training.directory, events.CheckpointSaved)[-1].reason == "last"


def test_printed_run_says_once_that_its_directory_is_gone(tmp_path):
    with subprocess.Popen(
        [*CLI, *ENDLESS_RUN],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until(lambda: (tmp_path / "runs").exists() and list((tmp_path / "runs").iterdir()))
            run = only_run(tmp_path)
            wait_for_epochs(run, 1)
            remove(run.path)
            for line in process.stderr:
                if GONE in line:
                    break
            process.send_signal(signal.SIGTERM)
            errors = process.stderr.read()
        finally:
            process.kill()
    assert process.returncode == 5
    assert errors.count(GONE) == 1  # the reason of the exit code
    assert "Traceback" not in errors


def test_dashboard_of_a_gone_directory_can_be_quit(tmp_path):
    with Terminal(*ENDLESS_RUN, cwd=tmp_path) as terminal:
        terminal.wait_for("● training")
        run = only_run(tmp_path)
        wait_for_epochs(run, 1)
        remove(run.path)
        terminal.wait_for("moved, removed or replaced")
        terminal.press("q")
        terminal.wait_for("Quit?")
        terminal.press("y")
        assert terminal.wait() == 5
    assert GONE.encode() in terminal.raw
