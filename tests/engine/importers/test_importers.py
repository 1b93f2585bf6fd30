"""Import of logs of other programs, complete or growing; unknown values stay absent."""

import errno
import math
import os
import signal
import struct
import subprocess

import pytest
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from cnn_engine.errors import ConfigError, DataError, StorageError
from cnn_engine.importers.importer import Importer
from cnn_engine.importers.roles import roles_of
from cnn_engine.importers.sources import open_source
from cnn_engine.runlog.events import EpochFinished, Notice, StepsFinished
from cnn_engine.runlog.log import LogReader, is_held
from cnn_engine.runlog.state import RunState
from cnn_engine.runs.directory import RunDirectory, create_run
from cnn_engine.runs.summary import read_state, read_summary
from cnn_engine.session.engine import Engine
from cnn_engine.storage.tfevents import DamagedFileError, RecordReader, masked_crc, read_scalars
from cnn_tui.cli.import_ import ImportFollower
from cnn_tui.dashboard.app import Dashboard
from cnn_tui.dashboard.screens.compare import CompareScreen
from cnn_tui.dashboard.screens.run import RunScreen
from cnn_tui.exports.formats import RECORD_FORMATS, export_record
from golden import golden_run
from pilot import screen_text, settle
from runs_for_tests import events_of, wait_until
from terminal import CLI, cnn_tui, environment

KERAS = "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.3,2.1,0.4,1.8\n1,0.5,1.5,0.55,1.4\n"
LIGHTNING = (
    "epoch,lr-Adam,step,train_loss,val_acc,val_loss,gpu\n"
    "0,0.001,50,2.1,,,1\n0,0.001,100,1.9,,,\n0,,100,,0.4,1.8,\n"
    "1,0.002,150,1.7,,,\n1,0.002,200,1.6,,,\n1,,200,,0.5,1.5,\n"
)


def import_run(tmp_path, source, name=""):
    """Import everything at a path; return the run."""
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(source), run, name)
    importer.poll()
    importer.close(ended=True)
    return run


def import_text(tmp_path, text, name="log.csv"):
    path = tmp_path / name
    path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
    return import_run(tmp_path, path)


def notices_of(run):
    return [event.text for event in events_of(run, Notice)]


class EventFile:
    """Event files written by TensorBoard's own code."""

    def __init__(self, directory):
        self._writer = EventFileWriter(str(directory))

    def scalar(self, tag, step, value, time=1_700_000_000.0):
        self._add(step, time, summary_pb2.Summary.Value(tag=tag, simple_value=value))
        return self

    def tensor(self, tag, step, value, time=1_700_000_000.0):
        """Add a scalar in the format of TensorFlow 2."""
        content = tensor_pb2.TensorProto(dtype=1, tensor_content=struct.pack("<f", value))
        self._add(step, time, summary_pb2.Summary.Value(tag=tag, tensor=content))
        return self

    def _add(self, step, time, value):
        summary = summary_pb2.Summary(value=[value])
        self._writer.add_event(event_pb2.Event(wall_time=time, step=step, summary=summary))

    def close(self):
        self._writer.close()


# Roles of series


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["loss", "val_loss"], {"train_loss": "loss", "val_loss": "val_loss"}),
        (["Loss/train", "Loss/test"], {"train_loss": "Loss/train", "val_loss": "Loss/test"}),
        (
            ["train/epoch_loss", "validation/epoch_loss", "train/epoch_accuracy"],
            {
                "train_loss": "train/epoch_loss",
                "val_loss": "validation/epoch_loss",
                "train_accuracy": "train/epoch_accuracy",
            },
        ),
        (["train/box_loss", "train/loss"], {"train_loss": "train/loss"}),
        (["trainLoss", "valLoss"], {"train_loss": "trainLoss", "val_loss": "valLoss"}),
        (["val/loss", "test/loss"], {"val_loss": "val/loss"}),
        (["learning_rate", "lr-Adam"], {"lr": "learning_rate"}),
        (["accuracy/top1", "closs", "glossy", "flare"], {"train_accuracy": "accuracy/top1"}),
    ],
)
def test_roles_follow_from_series_names(names, roles):
    assert roles_of(names) == roles


# CSV


def test_table_of_epochs_becomes_epochs(tmp_path):
    state, damaged = read_state(import_text(tmp_path, KERAS))
    assert damaged == 0
    assert [epoch.val_loss for epoch in state.epochs] == [1.8, 1.4]
    assert [epoch.train_loss for epoch in state.epochs] == [2.1, 1.5]
    assert [epoch.train_accuracy for epoch in state.epochs] == [0.3, 0.5]
    assert [epoch.val_accuracy for epoch in state.epochs] == [0.4, 0.55]
    assert list(state.curve.steps) == [1, 2]
    assert (state.steps_per_epoch, state.best.epoch) == (1, 2)


def test_epochs_of_a_table_of_steps_end_at_validations(tmp_path):
    run = import_text(tmp_path, LIGHTNING)
    state, _ = read_state(run)
    assert state.steps_per_epoch == 100
    assert list(state.curve.steps) == [50, 100, 150, 200]
    assert [epoch.train_loss for epoch in state.epochs] == [2.0, pytest.approx(1.65)]
    assert [epoch.val_accuracy for epoch in state.epochs] == [0.4, 0.5]
    assert state.lr == 0.002
    assert notices_of(run) == [
        "train_loss is used as training loss",
        "val_loss is used as validation loss",
        "val_acc is used as validation accuracy",
        "lr-Adam is used as learning rate",
        "Not shown: gpu",
    ]


def test_losses_without_steps_become_a_curve(tmp_path):
    run = import_text(tmp_path, "loss\n3\n2\n\n1\nnan\n")
    state, _ = read_state(run)
    assert list(state.curve.steps) == [1, 2, 3, 4]
    assert list(state.curve.losses)[:3] == [3.0, 2.0, 1.0]
    assert math.isnan(state.curve.losses[3])
    assert state.epochs == []


def test_unknown_values_are_absent(tmp_path):
    run = import_text(tmp_path, KERAS)
    state, _ = read_state(run)
    assert (state.prepared, state.config, state.test, state.lr) == (None, {}, None, None)
    assert state.images_per_second is None
    summary = read_summary(run)
    assert (summary.device, summary.precision, summary.train_images) == ("", "", 0)
    only_losses = import_text(tmp_path, "loss,val_loss\n2,1\n1,1\n")
    assert read_summary(only_losses).best_val_accuracy is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "contains no values"),
        ("epoch,loss\n", "contains no values"),
        ("1,2\n3,4\n", "first line must name the columns"),
        ("a,b\n1,2\n", "no series is a loss, an accuracy or a learning rate: a, b"),
        ("loss\nmany\n", "contains no values"),
        (b"\x00\x01\x02\n" * 10, "is not a CSV file"),
    ],
)
def test_table_without_losses_is_refused(tmp_path, text, problem):
    with pytest.raises(DataError, match=problem):
        import_text(tmp_path, text)


def test_malformed_rows_are_counted_and_backward_steps_skipped(tmp_path):
    (tmp_path / "log.csv").write_text("step;loss\n1;3\n2;2;7\n3;1\n3;0.9\n")
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(tmp_path / "log.csv"), run)
    importer.poll()
    with (tmp_path / "log.csv").open("a") as log:
        log.write("2;9\n4;0.5\n")
    importer.poll()
    importer.close(ended=True)
    state, _ = read_state(run)
    assert list(state.curve.steps) == [1, 3, 4]
    assert list(state.curve.losses) == [3.0, 0.9, 0.5]
    assert "2 values were skipped because they are out of order" in notices_of(run)
    assert "1 parts of the log are damaged" in notices_of(run)


def test_missing_source_is_named_in_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        open_source(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="not a regular file"):
        open_source(tmp_path / "pipe")
    with pytest.raises(DataError, match="contains no TensorBoard event files"):
        open_source(tmp_path)


# TensorBoard


def test_event_files_written_by_tensorboard_are_read(tmp_path):
    event_file = EventFile(tmp_path / "logs")
    for step in range(1, 9):
        event_file.scalar("Loss/train", step * 10, 2.0 / step, 1_700_000_000.0 + step)
        event_file.scalar("lr", step * 10, 0.5)
    for step in (40, 80):
        event_file.tensor("Loss/val", step, 1.0 / step).tensor("Accuracy/val", step, step / 100)
    event_file.close()
    run = import_run(tmp_path, tmp_path / "logs")
    state, _ = read_state(run)
    assert list(state.curve.steps) == list(range(10, 90, 10))
    assert state.curve.losses[3] == 0.5
    assert state.steps_per_epoch == 40
    assert [epoch.val_loss for epoch in state.epochs] == pytest.approx([1 / 40, 1 / 80])
    assert [epoch.val_accuracy for epoch in state.epochs] == pytest.approx([0.4, 0.8])
    assert list(state.curve.seconds)[:3] == [1.0, 2.0, 3.0]
    assert state.lr == 0.5


def test_train_and_validation_folders_are_one_run_and_several_runs_are_refused(tmp_path):
    for split in ("train", "validation"):
        event_file = EventFile(tmp_path / "keras" / split)
        for epoch in range(3):
            event_file.tensor("epoch_loss", epoch, 3.0 - epoch)
        event_file.close()
    state, _ = read_state(import_run(tmp_path, tmp_path / "keras"))
    assert [epoch.val_loss for epoch in state.epochs] == [3.0, 2.0, 1.0]
    assert list(state.curve.steps) == [1, 2, 3]
    for name in ("first", "second"):
        EventFile(tmp_path / "many" / name).scalar("loss", 1, 1.0).close()
    with pytest.raises(DataError, match="contains 2 runs; import one of them"):
        open_source(tmp_path / "many")


def test_own_tensorboard_export_is_imported_unchanged(tmp_path):
    exported = golden_run(tmp_path, "resumed")
    export_record([exported], "tensorboard", tmp_path / "tb")
    state, _ = read_state(import_run(tmp_path, tmp_path / "tb"))
    expected, _ = read_state(exported)
    assert list(state.curve.steps) == list(expected.curve.steps)
    assert list(state.curve.losses) == pytest.approx(list(expected.curve.losses), rel=1e-6)
    assert state.steps_per_epoch == expected.steps_per_epoch
    for epoch, expected_epoch in zip(state.epochs, expected.epochs, strict=True):
        assert epoch.val_loss == pytest.approx(expected_epoch.val_loss, rel=1e-6)
        assert epoch.val_accuracy == pytest.approx(expected_epoch.val_accuracy, rel=1e-6)


def write_event_file(tmp_path):
    """Write an event file with the losses 1 to 5, and return its path."""
    event_file = EventFile(tmp_path / "logs")
    for step in range(1, 6):
        event_file.scalar("loss", step, float(step))
    event_file.close()
    (path,) = (tmp_path / "logs").iterdir()
    return path


def test_values_before_a_damaged_record_are_read(tmp_path):
    path = write_event_file(tmp_path)
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 0x40]) + content[position + 1 :]
        )
        source = open_source(path)
        read = [scalar.value for scalar in source.poll()]
        assert source.damaged == 1
        assert read == [1.0, 2.0, 3.0, 4.0, 5.0][: len(read)]
        assert len(read) < 5


def test_incomplete_record_is_read_once_complete(tmp_path):
    path = write_event_file(tmp_path)
    content = path.read_bytes()
    for cut in range(0, len(content), 5):
        reader, read = RecordReader(), []
        for written in (content[:cut], content):
            path.write_bytes(written)
            with path.open("rb") as file:
                read += [
                    scalar for message in reader.poll(file) for scalar in read_scalars(message)
                ]
        assert [scalar.value for scalar in read] == [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    "message",
    [
        b"\x2a\xff\xff\xff\xff\x0f",
        b"\x09\x00",
        b"\xff" * 11,
        b"\x0b\x0c",
        b"\x2a\x03\x0a\x7f\x00",
    ],
)
def test_invalid_message_is_reported(message):
    with pytest.raises(DamagedFileError):
        read_scalars(message)


def test_record_of_an_absurd_length_is_damaged(tmp_path):
    length = struct.pack("<Q", 1 << 60)
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(length + masked_crc(length) + b"x" * 100)
    with path.open("rb") as file, pytest.raises(DamagedFileError):
        list(RecordReader().poll(file))


# Growing sources


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
    assert len(events_of(run, StepsFinished)) == 3
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


# On the screens; an imported run cannot be controlled


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (40, 12)])
async def test_imported_run_opens_in_every_screen(tmp_path, size):
    run = import_text(tmp_path, LIGHTNING)
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        assert "┤" in screen_text(app)
        for key in "123":
            await pilot.press(key)
            await settle(pilot)
            assert "nan" not in screen_text(app)
    other = Dashboard(CompareScreen([run, golden_run(tmp_path, "completed")]))
    async with other.run_test(size=size) as pilot:
        await settle(pilot)
        assert "A" in screen_text(other)
    for to in RECORD_FORMATS:
        export_record([run], to, tmp_path / f"exported-{to}")


async def test_followed_run_is_live_and_not_controllable(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(LIGHTNING)
    run = create_run(tmp_path / "runs")
    importer = Importer(open_source(path), run)
    importer.poll()
    app = Dashboard(RunScreen(run))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "training" in screen_text(app)
        assert "Step 200  2 validations" in screen_text(app)
        await pilot.press("p")
        await settle(pilot)
        assert "cannot be controlled" in screen_text(app)
    assert not run.commands.exists()
    importer.close(ended=False)


def test_imported_run_is_not_resumed(tmp_path):
    with pytest.raises(ConfigError, match="it was imported; resume it with"):
        Engine.resume(import_text(tmp_path, KERAS))


# On the command line


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
    importer = Importer(source, create_run(tmp_path / "runs"))
    importer.poll()
    follower = ImportFollower(importer, source)
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
