"""Import of TensorBoard event files, complete and damaged."""

import struct

import pytest

from cnn_engine.errors import DataError
from cnn_engine.importers.open import open_source
from cnn_engine.runs.summary import read_state
from cnn_engine.storage.tfevents import masked_crc
from cnn_engine.storage.tfevents_reader import DamagedFileError, RecordReader, read_event
from cnn_tui.exports.formats import export_record
from golden import golden_run
from imports_for_tests import EventFile, import_run


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
