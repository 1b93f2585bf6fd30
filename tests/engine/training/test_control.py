"""Commands do what they say, once, wherever the engine is."""

import math
import random
import threading
import time
from itertools import pairwise

import pytest

from cnn_engine.errors import StorageError
from cnn_engine.runlog.events import CommandApplied, CommandRefused, MachineMeasured
from cnn_engine.runlog.log import LogReader
from cnn_engine.runs.commands import Command, CommandReader, send
from cnn_engine.runs.directory import create_run
from cnn_engine.runs.recorder import Recorder
from cnn_engine.training.control import Control, StopRequested
from runs_for_tests import RunForTests, wait_until


class FakeTrainer:
    """The part of a trainer that commands change."""

    def __init__(self):
        self.lr, self.epochs, self.epoch = 0.001, 20, 3
        self.saved, self.error = 0, ""

    def save_checkpoint(self):
        if self.error:
            raise StorageError(self.error)
        self.saved += 1


class Asked:
    """A control of a run, and what it was told and did."""

    def __init__(self, runs_dir):
        self.directory = create_run(runs_dir)
        self.recorder = Recorder(self.directory)
        self.control = Control(self.recorder)
        self.trainer = FakeTrainer()

    def send(self, *names, value=None):
        for name in names:
            send(self.directory.commands, Command(name=name, by="key", value=value))

    def happened(self, kind):
        return [event for event in LogReader(self.directory.events).poll() if type(event) is kind]

    @property
    def applied(self):
        return [(event.command, event.value) for event in self.happened(CommandApplied)]

    @property
    def notices(self):
        return [event.text for event in self.happened(CommandRefused)]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)
    asked = Asked(tmp_path)
    with asked.recorder:
        yield asked


@pytest.fixture
def working(asked):
    """A thread that works and checks; ends with the test."""
    ended, steps = threading.Event(), []

    def work():
        try:
            while not ended.is_set():
                steps.append(asked.control.clock())
                asked.control.check()
                time.sleep(0.001)
        except StopRequested as stop:
            steps.append(stop.by)

    thread = threading.Thread(target=work)
    thread.start()
    yield steps
    ended.set()
    asked.send("unpause")
    thread.join()


def test_stop_is_recorded_and_raised(asked):
    asked.send("stop")
    with pytest.raises(StopRequested) as stop:
        asked.control.check()
    assert stop.value.by == "key"
    assert asked.applied == [("stop", None)]


def test_pause_blocks_until_unpause(asked, working):
    wait_until(lambda: working)
    asked.send("pause", "pause")
    wait_until(lambda: asked.recorder.state.paused)
    steps = len(working)
    asked.send("pause")
    time.sleep(0.05)
    assert len(working) == steps
    asked.send("unpause", "unpause")
    wait_until(lambda: len(working) > steps)
    assert asked.applied == [("pause", None), ("unpause", None)]


def test_clock_excludes_pauses(asked, working):
    wait_until(lambda: working)
    asked.send("pause")
    wait_until(lambda: asked.recorder.state.paused)
    before = working[-1]
    time.sleep(0.2)
    asked.send("unpause")
    wait_until(lambda: working[-1] > before)
    assert working[-1] <= time.perf_counter() - 0.2


def test_paused_run_applies_commands_and_stops(asked, working):
    asked.control.begin_training(asked.trainer)
    asked.send("pause")
    asked.send("lr", value=0.5)
    asked.send("checkpoint", "stop")
    wait_until(lambda: working and working[-1] == "key")
    assert asked.applied == [("pause", None), ("lr", 0.5), ("checkpoint", None), ("stop", None)]
    assert (asked.trainer.lr, asked.trainer.saved) == (0.5, 1)


def test_repeated_pause_commands_are_recorded_once(asked, working):
    generator = random.Random(7)
    presses = [generator.choice(["pause", "unpause"]) for _ in range(100)]
    asked.send(*presses, "stop")
    wait_until(lambda: working and working[-1] == "key")
    changes = [now for before, now in pairwise(["unpause", *presses]) if now != before]
    assert [name for name, _ in asked.applied] == [*changes, "stop"]
    assert asked.recorder.state.paused == (presses[-1] == "pause")


def test_commands_wait_for_training_and_keep_their_order(asked):
    asked.send("lr", value=0.01)
    asked.send("checkpoint")
    asked.send("epochs", value=30)
    asked.send("lr", value=0.02)
    asked.control.check()
    assert asked.applied == []
    asked.control.begin_training(asked.trainer)
    assert asked.applied == [("lr", 0.01), ("checkpoint", None), ("epochs", 30.0), ("lr", 0.02)]
    assert (asked.trainer.lr, asked.trainer.epochs, asked.trainer.saved) == (0.02, 30, 1)
    assert type(asked.trainer.epochs) is int
    asked.control.check()
    assert len(asked.applied) == 4


def test_commands_without_effect_are_not_recorded(asked):
    asked.control.begin_training(asked.trainer)
    asked.send("lr", value=0.001)
    asked.send("epochs", value=20)
    asked.send("unpause", "stop-epoch", "stop-epoch")
    asked.control.check()
    assert asked.applied == [("stop-epoch", None)]
    assert asked.notices == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("lr", 0.0, "a learning rate must be a positive number"),
        ("lr", -1.0, "a learning rate must be a positive number"),
        ("lr", math.nan, "a learning rate must be a positive number"),
        ("lr", math.inf, "a learning rate must be a positive number"),
        ("lr", None, "a learning rate must be a positive number"),
        ("epochs", 2.0, "must be a whole number, 3 or more"),
        ("epochs", 3.5, "must be a whole number, 3 or more"),
        ("epochs", math.inf, "must be a whole number, 3 or more"),
        ("epochs", 1e300, "must be a whole number, 3 or more"),
        ("epochs", None, "must be a whole number, 3 or more"),
    ],
)
def test_invalid_value_is_refused(asked, name, value, told):
    asked.control.begin_training(asked.trainer)
    asked.send(name, value=value)
    asked.control.check()
    (notice,) = asked.notices
    assert notice.endswith(told)
    assert asked.applied == []
    assert (asked.trainer.lr, asked.trainer.epochs) == (0.001, 20)


def test_stop_epoch_raises_at_end_of_epoch(asked):
    asked.control.end_epoch()
    asked.send("stop-epoch")
    asked.control.check()
    with pytest.raises(StopRequested):
        asked.control.end_epoch()


def test_commands_after_training_are_refused(asked):
    asked.control.begin_training(asked.trainer)
    asked.control.end_training()
    asked.send("lr", value=0.5)
    asked.send("checkpoint", "stop-epoch")
    asked.control.check()
    assert asked.notices == [
        "lr: too late, training is over",
        "checkpoint: too late, training is over",
    ]
    assert (asked.applied, asked.trainer.saved) == ([], 0)


def test_invalid_command_lines_are_skipped(asked):
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
    asked.directory.commands.write_bytes(b"\n".join(lines) + b'\n{"name":"st')
    reader = CommandReader(asked.directory.commands)
    assert list(reader.poll()) == [Command(name="pause", by="7")]
    with asked.directory.commands.open("ab") as file:
        file.write(b'op","by":"cli"}\n')
    assert list(reader.poll()) == [Command(name="stop", by="cli")]


def test_machine_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("cnn_engine.training.control.CHECK_SECONDS", 0.0)
    monkeypatch.setattr("cnn_engine.training.control.MACHINE_SECONDS", 0.0)
    asked = Asked(tmp_path)
    with asked.recorder:
        asked.control.check()
        asked.control.check()
    machine = asked.happened(MachineMeasured)
    assert len(machine) == 2
    assert asked.recorder.state.machine == machine[-1]
    assert 0 <= machine[-1].cpu <= 1
    assert 1e6 < machine[-1].memory_bytes < machine[-1].memory_total_bytes
    assert 0 < machine[-1].memory_available_bytes < machine[-1].memory_total_bytes
    assert machine[-1].disk_free_bytes > 0


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
    asked = Asked(tmp_path)
    with asked.recorder:
        asked.directory.path.rename(tmp_path / "elsewhere")
        asked.control.check()
        assert asked.recorder.state.machine is None


def test_failed_checkpoint_is_refused_with_reason(asked):
    asked.control.begin_training(asked.trainer)
    asked.trainer.error = "last.pt could not be saved: No space left on device"
    asked.send("checkpoint")
    asked.control.check()
    assert asked.notices == [asked.trainer.error]
    (refused,) = asked.happened(CommandRefused)
    assert (refused.command, refused.by) == ("checkpoint", "key")
