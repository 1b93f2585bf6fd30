"""Import of TensorBoard event files, complete and damaged."""

import shlex
import struct
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c, masked_crc32c

from cnn_engine.errors import DataError, UserError
from cnn_engine.importers.open import open_source
from cnn_engine.runs.summary import read_state
from cnn_engine.storage import tfevents_reader
from cnn_engine.storage.tfevents import masked_crc
from cnn_engine.storage.tfevents_reader import DamagedFileError, RecordReader, read_event
from cnn_tui.exports.formats import export_record
from golden import golden_run
from imports_for_tests import EventFile, import_run, import_text, notices_of


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
    commands = r"cnn-tui import .*first, cnn-tui import .*second"
    with pytest.raises(DataError, match=f"contains 2 runs; import one of them: {commands}"):
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


def test_exported_run_of_another_loop_comes_back_with_its_series(tmp_path):
    """`train`, `val` and `series` are one run, and the series keep their names."""
    logged = import_text(
        tmp_path, "epoch,train_loss,val_loss,val_acc,D(x)\n1,3,2,0.4,7\n2,2,1,0.5,8\n"
    )
    export_record([logged], "tensorboard", tmp_path / "tb")
    (exported,) = (tmp_path / "tb").iterdir()
    assert sorted(path.name for path in exported.iterdir()) == ["series", "train", "val"]
    state, _ = read_state(import_run(tmp_path, tmp_path / "tb"))
    assert list(state.curve.losses) == [3.0, 2.0]
    assert [epoch.val_loss for epoch in state.epochs] == [2.0, 1.0]
    assert [epoch.val_accuracy for epoch in state.epochs] == pytest.approx([0.4, 0.5])
    assert list(state.series["D(x)"].curve.losses) == [7.0, 8.0]
    assert list(state.series["val/accuracy"].curve.losses) == pytest.approx([0.4, 0.5])
    assert "train/accuracy" not in state.series  # that nobody logged


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
        source.poll()
        read = list(source.series()["loss"].values) if source.series() else []
        assert len(source.problems()) == 1
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
                    scalar
                    for message in reader.poll(file)
                    for scalar in read_event(message).scalars
                ]
        assert [value for _, value in read] == [1.0, 2.0, 3.0, 4.0, 5.0]


@settings(deadline=None)
@given(
    tag=st.text(max_size=140),
    step=st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 300)),
    value=st.floats(width=32, allow_nan=False),
    time=st.floats(allow_nan=False),
)
def test_any_scalar_is_read(tag, step, value, time):
    summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, simple_value=value)])
    event = event_pb2.Event(wall_time=time, step=step, summary=summary)
    found = read_event(event.SerializeToString())
    assert (found.time, found.step, found.scalars) == (time, step, [(tag, value)])


@pytest.mark.parametrize("length", [0, 1, 2, 3, 32])
def test_checksum_of_every_length(length):
    """Those of TensorBoard, and of the 32 ascending bytes in RFC 3720, appendix B.4."""
    content = bytes(range(length))
    assert masked_crc(content) == struct.pack("<I", masked_crc32c(content))
    if length == 32:
        assert crc32c(content) == 0x46DD794E


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
        read_event(message)


def test_record_of_an_absurd_length_is_damaged(tmp_path):
    length = struct.pack("<Q", 1 << 60)
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(length + masked_crc(length) + b"x" * 100)
    with path.open("rb") as file, pytest.raises(DamagedFileError):
        list(RecordReader().poll(file))


TUTORIAL = "Training vs. Validation Loss"


def test_add_scalars_of_the_tutorial_gives_both_losses(tmp_path):
    """PyTorch's TensorBoard tutorial writes one tag into two directories."""
    run_directory = tmp_path / "runs_tb" / "fashion"
    EventFile(run_directory).close()
    for key, offset in (("Training", 0.0), ("Validation", 9.0)):
        event_file = EventFile(run_directory / f"{TUTORIAL}_{key}")
        for step in range(1, 6):
            event_file.scalar(TUTORIAL, step, offset + step / 8)
        event_file.close()
    for path in (run_directory, run_directory.parent):
        state, _ = read_state(import_run(tmp_path, path))
        assert list(state.curve.losses) == [step / 8 for step in range(1, 6)]
        assert [epoch.val_loss for epoch in state.epochs] == [9 + step / 8 for step in range(1, 6)]


def test_directory_of_add_hparams_is_left_out(tmp_path):
    """A run with add_hparams is one run (pytorch#32651)."""
    event_file = EventFile(tmp_path / "tb")
    for step in range(1, 9):
        event_file.scalar("Loss/train", step, 1 / step).scalar("Loss/val", step, 2 / step)
    event_file.close()
    EventFile(tmp_path / "tb" / "1790000000.5").hparams().scalar("accuracy", 0, 0.9).close()
    run = import_run(tmp_path, tmp_path / "tb")
    assert len(read_state(run)[0].epochs) == 8
    assert notices_of(run) == [
        "Loss/train is used as training loss",
        "Loss/val is used as validation loss",
    ]


def write_run(directory, tag="Loss/train"):
    EventFile(directory).scalar(tag, 1, 2.0).scalar(tag, 2, 1.0).close()


def test_suggested_imports_of_several_runs_succeed(tmp_path):
    """Each named directory can be imported, whatever lies below or beside it (ultralytics)."""
    logs = tmp_path / "logs"
    for name in ("train", "train2", "resnet_train", "vgg_val", "deep/train", "deep/validation"):
        write_run(logs / name, "epoch_loss")
    write_run(logs / "deep" / "train" / "Loss_val", "Loss")
    with pytest.raises(DataError) as raised:
        open_source(logs)
    commands = str(raised.value).partition(" of them: ")[2].split(", ")
    paths = [shlex.split(command)[-1] for command in commands]
    expected = ["deep", "resnet_train", "train", "train2", "vgg_val"]
    assert [Path(path).name for path in paths] == expected
    for path in paths:
        assert str(open_source(Path(path)).path) == path


def test_runs_below_an_imported_run_are_reported(tmp_path):
    write_run(tmp_path / "logs")
    write_run(tmp_path / "logs" / "other")
    run = import_run(tmp_path, tmp_path / "logs")
    other = tmp_path / "logs" / "other"
    assert notices_of(run)[1:] == [f"Other runs in this directory are not imported: {other}"]


def test_images_are_skipped_without_looking_at_their_bytes(tmp_path, monkeypatch):
    """Event files with images are imported in seconds (tensorboard#4354)."""
    event_file = EventFile(tmp_path / "logs")
    for step in range(1, 4):
        event_file.scalar("loss", step, 1.0 / step).image("images", step, 2_000_000)
    event_file.close()
    checked = []

    def masked(content):
        checked.append(len(content))
        return masked_crc(content)

    monkeypatch.setattr(tfevents_reader, "masked_crc", masked)
    reports = []
    source = open_source(tmp_path / "logs")
    source.poll(report=lambda *progress: reports.append(progress))
    assert list(source.series()["loss"].steps) == [1, 2, 3]
    assert sum(checked) < 10_000
    (path,) = (tmp_path / "logs").iterdir()
    size = path.stat().st_size
    assert reports[-1] == (f"reading {path.name}, bytes", size, size)


def test_message_that_is_too_long_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr(tfevents_reader, "MAX_MESSAGE_BYTES", 1000)
    event_file = EventFile(tmp_path / "logs")
    event_file.scalar("loss", 1, 2.0).image("video", 1, 2000).scalar("loss", 2, 1.0).close()
    state, _ = read_state(import_run(tmp_path, tmp_path / "logs"))
    assert list(state.curve.losses) == [2.0, 1.0]


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_any_change_of_bytes_is_imported_or_refused(data):
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        event_file = EventFile(directory / "source", purge_step=2)
        for step in range(3):
            event_file.scalar("loss", step, 1.0).tensor("val_loss", step, 2.0)
        event_file.hparams().image("image", 1, 20).close()
        (path,) = (directory / "source").iterdir()
        content = bytearray(path.read_bytes())
        for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
            content[position] = data.draw(st.integers(0, 255))
        # Checksums are set right, so that the messages are read.
        path.write_bytes(with_checksums(bytes(content)))
        with suppress(UserError):
            assert read_state(import_run(directory, path))[1] == 0


def with_checksums(content):
    """Return the records of an event file with correct checksums, as far as its lengths tell."""
    records, position = b"", 0
    while position + 12 <= len(content):
        length = content[position : position + 8]
        end = position + 12 + int.from_bytes(length, "little")
        message = content[position + 12 : end]
        records += length + masked_crc(length) + message + masked_crc(message)
        position = end + 4
    return records
