"""Runs of several processes: started by the command, or by torchrun; signals, losses, errors."""

import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from cnn_engine.data.marks import Marked, write_marks
from cnn_engine.distributed.place import Place
from cnn_engine.runlog import events
from cnn_engine.runs.commands import Command, send
from cnn_engine.runs.summary import read_state
from cnn_engine.session.engine import run_started
from cnn_tui.headless import launches
from photos_for_tests import make_photos
from runs_for_tests import RunForTests, events_of, wait_until
from terminal import CLI, SET_SMALL, cnn_tui, environment
from terminal_runs import epochs_done, only_run

pytestmark = pytest.mark.xdist_group("torchrun")  # one launch at a time

ENDLESS = ["digits", "--epochs", "100000", *SET_SMALL, "--set", "train.checkpoint_seconds=1"]
MODULE = ["-c", "import torch.distributed.run as run; run.main()"]


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a command in `tmp_path`; it is killed after the test."""
    started = []

    def start(*command, **changes):
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for process in psutil.process_iter(["cmdline"]):
        if any(str(tmp_path) in word for word in process.info["cmdline"] or ()):
            process.kill()


def member(run, rank):
    """Return the process of a run with a rank."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "-u" in words and str(run.path) in words and process.environ().get("RANK") == str(rank):
            return process
    raise AssertionError(f"no process {rank}")


def applied(run):
    """Return the names of the commands that the run has applied."""
    return [event.command for event in events_of(run, events.CommandApplied)]


def wait_for_run(tmp_path, epochs=2):
    """Return the run once some epochs are done."""
    wait_until(lambda: list((tmp_path / "runs").glob("*/events.jsonl")))
    run = only_run(tmp_path)
    wait_until(lambda: epochs_done(run) >= epochs)
    return run


def test_run_of_two_processes_is_a_run_like_any_other(tmp_path):
    """All processes read the table and the marks of the first one."""
    make_photos(tmp_path / "photos", per_class=20)
    write_marks(tmp_path / "photos", {"cat/003.tif": Marked("drop")})
    paths = sorted((tmp_path / "photos").glob("*/*"))
    rows = "".join(f"{path.parent.name}/{path.name},{path.parent.name}\n" for path in paths)
    (tmp_path / "labels.csv").write_text(f"path,label\n{rows}")
    settings = ("--set=data.source=csv", "--set=data.table=labels.csv", *SET_SMALL)
    options = ("--data-dir", "photos", "--nproc", 2, "--epochs", 2, *settings)
    result = cnn_tui("run", "folder", *options, cwd=tmp_path)
    assert (result.returncode, "Traceback" in result.stderr) == (0, False)
    assert "Test Accuracy (Overall)" in result.stdout
    run = only_run(tmp_path)
    state, damaged = read_state(run)
    assert (state.status, state.processes, damaged) == ("done", 2, 0)
    assert len(state.epochs) == 2
    assert state.prepared.environment["marks"].startswith("1 dropped (")
    assert run.console.read_text() == ""
    assert not run.is_live("")


def test_commands_and_signals_reach_all_processes_and_one_that_hangs_is_named(tmp_path, start):
    command = start(*CLI, "run", *ENDLESS, "--nproc", "2")
    run = wait_for_run(tmp_path)
    for name, value in (("pause", None), ("lr", 0.002), ("checkpoint", None), ("unpause", None)):
        send(run.commands, Command(name=name, by="cli", value=value))
        wait_until(lambda name=name: name in applied(run))
    assert applied(run) == ["pause", "lr", "checkpoint", "unpause"]
    process = member(run, 1)
    process.suspend()
    wait_until(lambda: events_of(run, events.Notice))
    process.resume()
    (notice,) = events_of(run, events.Notice)
    assert notice.text.startswith(f"Waiting for process 1 on {read_state(run)[0].host} for ")
    done = epochs_done(run)
    wait_until(lambda: epochs_done(run) > done)
    for each in (process.parent(), member(run, 0), process):  # as a batch system before a limit
        with suppress(psutil.NoSuchProcess):  # the signal before may have ended it
            each.send_signal(signal.SIGUSR1)
    command.communicate(timeout=60)
    assert command.returncode == 128 + signal.SIGUSR1
    state, _ = read_state(run)
    assert (state.status, state.checkpoints[-1].file) == ("stopped", "last.pt")
    position = state.checkpoints[-1]
    assert (position.epoch, position.step) == (state.epoch, state.step)


def test_run_goes_on_after_a_process_was_killed(tmp_path, start):
    command = start(*CLI, "run", *ENDLESS, "--nproc", "2")
    run = wait_for_run(tmp_path)
    member(run, 1).kill()
    wait_until(lambda: len(events_of(run, events.RunResumed)) == 2)
    first, resumed = events_of(run, events.RunResumed)
    assert (first.file, resumed.file, resumed.processes) == ("", "last.pt", 2)
    assert run.is_live("")
    done = epochs_done(run)
    wait_until(lambda: epochs_done(run) > done + 1)
    command.send_signal(signal.SIGINT)
    output, _ = command.communicate(timeout=60)
    assert command.returncode == 128 + signal.SIGINT
    state, damaged = read_state(run)
    assert (state.status, damaged) == ("stopped", 0)
    assert [epoch.epoch for epoch in state.epochs] == [*range(1, len(state.epochs) + 1)]
    assert "Traceback" not in output
    for epochs in (state.epoch + 1, state.epoch + 2):  # stopped before, and then done
        result = cnn_tui("resume", "--epochs", epochs, cwd=tmp_path)  # as many as before
        state, _ = read_state(run)
        assert (result.returncode, state.processes, len(state.epochs)) == (0, 2, epochs)
        assert f"Epoch: {epochs}/{epochs}" in result.stdout


def test_second_signal_kills_all_processes(tmp_path, start):
    """As in a run of one process; the first one would save a checkpoint."""
    command = start(*CLI, "run", *ENDLESS, "--nproc", "2")
    run = wait_for_run(tmp_path, epochs=1)
    processes = [member(run, rank) for rank in range(2)]
    for process in processes:
        process.suspend()  # so that the first signal has no effect yet
    command.send_signal(signal.SIGINT)
    time.sleep(0.5)
    command.send_signal(signal.SIGINT)
    output, _ = command.communicate(timeout=30)
    assert command.returncode == 128 + signal.SIGINT
    assert "quit immediately" in output
    psutil.wait_procs(processes, timeout=10)
    assert not any(process.is_running() for process in processes)
    wait_until(lambda: not run.is_live(""))


def test_stop_while_images_are_read_ends_all_processes(tmp_path, start):
    command = start(*CLI, "run", *ENDLESS, "--nproc", "2")
    wait_until(lambda: list((tmp_path / "runs").glob("*/events.jsonl")))
    run = only_run(tmp_path)
    send(run.commands, Command(name="stop", by="cli"))
    command.communicate(timeout=60)
    assert command.returncode == 0
    assert read_state(run)[0].status == "stopped"
    assert "Traceback" not in run.console.read_text()


def test_error_of_another_process_is_that_of_the_run(tmp_path, write_module):
    write_module(
        "networks",
        """
import os
from torch import nn

class Failing(nn.Module):
    def __init__(self, *, channels, image_size, class_count):
        super().__init__()
        self.linear = nn.Linear(channels * image_size**2, class_count)
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        if self.calls == 30 and os.environ["RANK"] == "1":
            raise ValueError("bad luck")
        return self.linear(images.flatten(1))
""",
    )
    settings = ["--set", "model.name=networks:Failing", "--set", "data.image_size=8"]
    result = cnn_tui("run", "digits", *settings, "--nproc", 2, cwd=tmp_path)
    run = only_run(tmp_path)
    state, _ = read_state(run)
    assert (result.returncode, state.status) == (4, "failed")
    assert state.finished.error.startswith("process 1 on ")
    assert "model.name: networks:Failing fails in training: ValueError: bad luck" in result.stderr
    assert "networks.py" in run.console.read_text()
    assert len(events_of(run, events.RunResumed)) == 1  # not started again


def test_torchrun_by_hand_goes_on_with_its_run(tmp_path, start):
    options = ["--standalone", "--nproc-per-node=2", "--max-restarts=2", "-m", "cnn_tui"]
    command = start(sys.executable, *MODULE, *options, "run", *ENDLESS, "--no-ui")
    run = wait_for_run(tmp_path)
    psutil.Process(read_state(run)[0].started.pid).kill()
    wait_until(lambda: events_of(run, events.RunResumed))
    done = epochs_done(run)
    wait_until(lambda: epochs_done(run) > done)
    send(run.commands, Command(name="stop", by="cli"))
    command.communicate(timeout=60)
    assert command.returncode == 0  # it is not started again
    assert read_state(run)[0].status == "stopped"
    assert only_run(tmp_path).id == run.id


@pytest.mark.parametrize(
    ("end", "restart", "result"),
    [
        (None, 0, "continued"),
        (("stopped", 143), 0, "continued"),  # requeued
        (("stopped", 124), 0, "continued"),
        (("stopped", 0), 0, "new"),
        (("done", 0), 0, "new"),
        (("failed", 4), 0, "new"),
        (("failed", 4), 1, 4),
        (("done", 0), 1, 0),
    ],
)
def test_run_of_a_launch_is_continued_if_it_has_not_ended(
    tmp_path, monkeypatch, end, restart, result
):
    """The same id may be given to torchrun each night."""
    run = RunForTests(tmp_path)
    run.recorder.record(run_started(run.engine._request, run.directory, 2, "night"))
    if end is not None:
        status, exit_code = end
        run.recorder.record(events.RunFinished(status=status, exit_code=exit_code, seconds=1.0))
    run.recorder.close()
    trained = []

    def train_in_launch(engine, directory, *, as_json):
        engine._recorder.close()
        trained.append("continued" if directory.id == run.directory.id else "new")
        return 0

    monkeypatch.setattr(launches, "train_in_launch", train_in_launch)
    place = Place(rank=0, count=2, local_rank=0, local_count=2, restart=restart, launch="night")
    code = launches.run_in_launch(run.engine._request, tmp_path, place, as_json=False)
    assert (trained or [code]) == [result]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--nproc", "100"], "train.batch_size: a batch of 64 images cannot be shared by 100"),
        (["--nproc", "0"], "--nproc"),
        (["--nproc", "2", "--device", "mps"], "train.device"),
    ],
)
def test_processes_that_cannot_train_are_refused_in_one_line(tmp_path, arguments, error):
    result = cnn_tui("run", "digits", *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert error in result.stderr
    assert not (tmp_path / "runs").exists()
