"""Commands are applied once, in their order, in every phase of a run."""

import math
import os
import random
import threading
import time
from itertools import pairwise

import pytest

from cnn_engine.errors import StorageError
from cnn_engine.runlog.events import (
    CommandApplied,
    CommandRefused,
    EpochStarted,
    MachineMeasured,
    ScalarsLogged,
)
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.commands import Command, CommandReader, send
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.system.machine import Gpu
from cnn_engine.training.control import Control, DetachRequested, StopRequested
from cnn_engine.training.scalars import GPU_MEMORY, PROCESS_MEMORY
from event_samples import prepared, steps
from runs_for_tests import RunForTests, wait_until


class FakeTrainer:
    """The part of a trainer that commands change."""

    save_seconds = None

    def __init__(self):
        self.lr, self.epochs, self.epoch = 0.001, 20, 3
        self.saved, self.error = 0, ""

    def save_checkpoint(self):
        if self.error:
            raise StorageError(self.error)
        self.saved += 1


class ControlledRun:
    """A control with a fake trainer, and the events that it records."""

    def __init__(self, runs_dir):
        self.directory = create_run(runs_dir)
        self.recorder = Recorder(self.directory)
        self.control = Control(self.recorder)
        self.trainer = FakeTrainer()

    def send(self, *names, value=None):
        for name in names:
            send(self.directory.commands, Command(name=name, by="key", value=value))

    def logged(self, kind):
        return [event for event in LogReader(self.directory.events).poll() if type(event) is kind]

    @property
    def applied(self):
        return [(event.command, event.value) for event in self.logged(CommandApplied)]

    @property
    def refusals(self):
        return [event.text for event in self.logged(CommandRefused)]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)
    run = ControlledRun(tmp_path)
    with run.recorder:
        yield run


@pytest.fixture
def worker_steps(run):
    """Start a thread that calls `check` in a loop; yield the list of its clock readings.

    After a stop the list ends with the name of its sender.
    """
    ended, steps = threading.Event(), []

    def work():
        try:
            while not ended.is_set():
                steps.append(run.control.clock())
                run.control.check()
                time.sleep(0.001)
        except StopRequested as stop:
            steps.append(stop.by)

    run.control.begin_training(run.trainer)
    thread = threading.Thread(target=work)
    thread.start()
    yield steps
    ended.set()
    run.send("unpause")
    thread.join()


def test_stop_is_recorded_and_raised(run):
    run.send("stop")
    with pytest.raises(StopRequested) as stop:
        run.control.check()
    assert stop.value.by == "key"
    assert run.applied == [("stop", None)]


def test_pause_blocks_until_unpause(run, worker_steps):
    wait_until(lambda: worker_steps)
    run.send("pause", "pause")
    wait_until(lambda: run.recorder.state.paused)
    steps = len(worker_steps)
    run.send("pause")
    time.sleep(0.05)
    assert len(worker_steps) == steps
    run.send("unpause", "unpause")
    wait_until(lambda: len(worker_steps) > steps)
    assert run.applied == [("pause", None), ("unpause", None)]


def test_clock_excludes_pauses(run, worker_steps):
    wait_until(lambda: worker_steps)
    run.send("pause")
    wait_until(lambda: run.recorder.state.paused)
    before = worker_steps[-1]
    time.sleep(0.2)
    run.send("unpause")
    wait_until(lambda: worker_steps[-1] > before)
    assert worker_steps[-1] <= time.perf_counter() - 0.2


def test_paused_run_applies_commands_and_stops(run, worker_steps):
    run.send("pause")
    wait_until(lambda: run.recorder.state.paused)
    run.send("checkpoint")
    wait_until(lambda: run.trainer.saved)
    run.send("lr", value=0.5)
    run.send("stop")
    wait_until(lambda: worker_steps and worker_steps[-1] == "key")
    assert run.applied == [("pause", None), ("checkpoint", None), ("lr", 0.5), ("stop", None)]
    assert (run.trainer.lr, run.trainer.saved) == (0.5, 1)


def test_repeated_pause_commands_are_recorded_once(run, worker_steps):
    generator = random.Random(7)
    presses = [generator.choice(["pause", "unpause"]) for _ in range(100)]
    changes = [after for before, after in pairwise(["unpause", *presses]) if after != before]
    run.send(*presses)
    wait_until(lambda: len(run.applied) == len(changes))
    run.send("stop")
    wait_until(lambda: worker_steps and worker_steps[-1] == "key")
    assert [name for name, _ in run.applied] == [*changes, "stop"]
    assert run.recorder.state.paused == (presses[-1] == "pause")


def test_commands_wait_for_training_and_keep_their_order(run):
    run.send("lr", value=0.01)
    run.send("checkpoint")
    run.send("epochs", value=30)
    run.send("lr", value=0.02)
    run.control.check()
    assert run.applied == []
    run.control.begin_training(run.trainer)
    assert run.applied == [("checkpoint", None), ("epochs", 30.0), ("lr", 0.02)]
    assert (run.trainer.lr, run.trainer.epochs, run.trainer.saved) == (0.02, 30, 1)
    assert type(run.trainer.epochs) is int
    run.control.check()
    assert len(run.applied) == 3


def test_stop_behind_many_commands_goes_first_and_the_last_values_count(run):
    """A script that sends a rate in a loop does not keep a stop waiting."""
    run.control.begin_training(run.trainer)
    lines = [
        f'{{"name":"lr","value":{number / 10},"by":"cli"}}\n{{"name":"checkpoint"}}\n'
        for number in range(1, 10_001)
    ]
    run.directory.commands.write_text("".join(lines) + '{"name":"stop","by":"cli"}\n')
    with pytest.raises(StopRequested):
        run.control.check()
    assert run.applied == [("lr", 1000.0), ("stop", None)]
    assert run.trainer.saved == 0


def test_detach_goes_last_of_commands_that_arrive_together(run):
    run.control.begin_training(run.trainer)
    run.send("checkpoint", "detach", "checkpoint", "stop-epoch", "detach")
    with pytest.raises(DetachRequested):
        run.control.check()
    assert run.applied == [("checkpoint", None), ("stop-epoch", None), ("detach", None)]


def test_commands_without_effect_are_not_recorded(run):
    run.control.begin_training(run.trainer)
    run.send("lr", value=0.001)
    run.send("epochs", value=20)
    run.send("unpause", "stop-epoch", "stop-epoch")
    run.control.check()
    assert run.applied == [("stop-epoch", None)]
    assert run.refusals == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", 0.0, "a learning rate must be a positive number"),
        ("lr", -1.0, "a learning rate must be a positive number"),
        ("lr", math.nan, "a learning rate must be a positive number"),
        ("lr", math.inf, "a learning rate must be a positive number"),
        ("lr", None, "a learning rate must be a positive number"),
        ("epochs", 2.0, "epochs 2: epoch 3 has begun; set 3 or more"),
        ("epochs", 3.5, "must be a whole number from 3 to 1000000000"),
        ("epochs", math.inf, "must be a whole number from 3 to 1000000000"),
        ("epochs", 1e300, "must be a whole number from 3 to 1000000000"),
        ("epochs", None, "must be a whole number from 3 to 1000000000"),
    ],
)
def test_invalid_value_is_refused(run, name, value, message):
    run.control.begin_training(run.trainer)
    run.send(name, value=value)
    run.control.check()
    (refusal,) = run.refusals
    assert refusal.endswith(message)
    assert run.applied == []
    assert (run.trainer.lr, run.trainer.epochs) == (0.001, 20)


def test_stop_epoch_raises_at_end_of_run_if_epochs_are_left(run):
    run.control.end_run(is_complete=False)
    assert not run.control.stops_after_epoch
    run.send("stop-epoch")
    run.control.check()
    assert run.control.stops_after_epoch
    run.control.end_run(is_complete=True)
    with pytest.raises(StopRequested):
        run.control.end_run(is_complete=False)


def test_commands_after_training_are_refused(run):
    run.control.begin_training(run.trainer)
    run.control.end_training()
    run.send("lr", value=0.5)
    run.send("checkpoint", "stop-epoch")
    run.control.check()
    assert run.refusals == [
        "lr: too late, training is over",
        "checkpoint: too late, training is over",
    ]
    assert (run.applied, run.trainer.saved) == ([], 0)


def test_invalid_command_lines_are_skipped(run):
    lines = [
        b"",
        b"null",
        b"[1]",
        b"\xff\x00",
        b"{}",
        b'{"name":"dance","by":"key"}',
        b'{"name":["lr"],"by":"key"}',
        b'{"name":"lr","by":"key","value":true}',
        b'{"name":"lr","by":"key","value":"0.1"}',
        b'{"name":"lr","by":"key","value":[0.1]}',
        b'{"name":"lr","by":"key","value":1' + 400 * b"0" + b"}",
        200_000 * b"[",
        b'{"name":"pause","by":7}',
    ]
    run.directory.commands.write_bytes(b"\n".join(lines) + b'\n{"name":"st')
    reader = CommandReader(run.directory.commands)
    assert list(reader.poll()) == [Command(name="pause", by="7")]
    with run.directory.commands.open("ab") as file:
        file.write(b'op","by":"cli"}\n')
    assert list(reader.poll()) == [Command(name="stop", by="cli")]


def test_machine_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("cnn_engine.training.control.MACHINE_SECONDS", 0.0)
    run = ControlledRun(tmp_path)
    with run.recorder:
        run.control.check()
        run.control.check()
    machine = run.logged(MachineMeasured)
    assert len(machine) == 2
    assert run.recorder.state.machine == machine[-1]
    assert 0 <= machine[-1].cpu <= 1
    assert 1e6 < machine[-1].memory_bytes < machine[-1].memory_total_bytes
    assert 0 < machine[-1].memory_available_bytes < machine[-1].memory_total_bytes
    assert machine[-1].disk_free_bytes > 0


def test_memory_is_a_series_while_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("cnn_engine.training.control.MACHINE_SECONDS", 0.0)
    run = ControlledRun(tmp_path)
    gpu = Gpu(busy=None, memory_bytes=2_500_000, memory_total_bytes=8_000_000)
    with run.recorder:
        for event in (prepared(), EpochStarted(epoch=2), steps(2, 5)):
            run.recorder.record(event)
        run.control.check()  # nothing is trained yet
        run.control.begin_training(run.trainer)
        run.control.machine.measure_gpu = lambda: gpu
        run.control.check()
        run.control.end_training()
        run.control.check()
    *_, without_gpu, with_gpu = run.logged(ScalarsLogged)
    samples = run.logged(MachineMeasured)
    assert len(run.logged(ScalarsLogged)) == len(samples) - 3
    assert (with_gpu.epoch, with_gpu.step) == (2, 15)
    assert without_gpu.values == {
        PROCESS_MEMORY: pytest.approx((samples[-3].memory_bytes / 1e6,), rel=1e-5)
    }
    assert with_gpu.values[GPU_MEMORY] == (2.5,)


def test_first_measurement_reports_cpu_load(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.training.control.MACHINE_SECONDS", 0.3)
    run = RunForTests(tmp_path, "train.epochs=1000")
    run.engine.start()
    wait_until(lambda: run.live_state.machine)
    run.send("stop")
    run.engine.join()
    first = next(event for event in run.events() if isinstance(event, MachineMeasured))
    assert first.cpu > 0.1


def test_missing_run_directory_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("cnn_engine.training.control.MACHINE_SECONDS", 0.0)
    run = ControlledRun(tmp_path)
    with run.recorder:
        run.directory.path.rename(tmp_path / "elsewhere")
        run.control.check()
        assert run.recorder.state.machine is None
        (tmp_path / "elsewhere").rename(run.directory.path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "directory"])
def test_unreadable_commands_are_mentioned_once(run, make):
    """A pipe or a directory in place of the commands neither blocks nor ends training."""
    make(run.directory.commands)
    run.control.check()
    run.control.check()
    (notice,) = run.recorder.state.notices
    assert notice.text.startswith("Commands cannot be read: ")
    run.recorder.commands.add(Command(name="stop", by="SIGTERM"))
    with pytest.raises(StopRequested):
        run.control.check()


def test_failed_checkpoint_is_refused_with_reason(run):
    run.control.begin_training(run.trainer)
    run.trainer.error = "last.pt could not be saved: No space left on device"
    run.send("checkpoint")
    run.control.check()
    assert run.refusals == [run.trainer.error]
    (refused,) = run.logged(CommandRefused)
    assert (refused.command, refused.by) == ("checkpoint", "key")
