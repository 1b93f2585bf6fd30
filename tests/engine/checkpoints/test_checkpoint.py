"""Checkpoints: one is always intact, damaged ones are refused, and none can run code."""

import errno
import io
import os
import signal
import struct
import subprocess
import sys
import time
import zipfile

import pytest
import torch

from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import (
    FOOTER_BYTES,
    FORMAT,
    LAST_FILE,
    MAGIC,
    PREVIOUS_FILE,
    Position,
    checksum_footer,
    find_newest,
    read_verified,
)
from cnn_engine.errors import ConfigError, DataError
from cnn_engine.storage.atomic import remove_temporary_files
from terminal import environment

CPU = torch.device("cpu")


def content_of(epoch):
    return {"model": {"weight": torch.full((1000,), float(epoch))}, "epoch": epoch}


def save(path, epoch):
    checkpoint.save(path, content_of(epoch), Position(epoch, 0))


@pytest.fixture
def last(tmp_path):
    """Save a `last.pt` of epoch 2 and a `previous.pt` of epoch 1; return the path of the former."""
    path = tmp_path / LAST_FILE
    save(path, 1)
    save(path, 2)
    return path


def epochs_in(directory):
    return {path.name: checkpoint.load(path, CPU)["epoch"] for path in directory.glob("*.pt")}


def test_last_and_previous_are_kept(last):
    assert epochs_in(last.parent) == {LAST_FILE: 2, PREVIOUS_FILE: 1}
    save(last, 3)
    assert epochs_in(last.parent) == {LAST_FILE: 3, PREVIOUS_FILE: 2}
    assert find_newest(last.parent).position == Position(3, 0)
    assert list(last.parent.glob("*.tmp")) == []


def test_torch_load_reads_checkpoint(last):
    content = torch.load(last, weights_only=True)
    assert content["epoch"] == 2
    assert content["model"]["weight"].eq(2).all()


@pytest.mark.parametrize("content", [b"", b"text", bytes(1000), os.urandom(5000)])
def test_other_files_are_refused(last, content):
    last.write_bytes(content)
    with pytest.raises(DataError, match=r"last\.pt: is damaged, or not a checkpoint"):
        checkpoint.load(last, CPU)


def test_truncated_checkpoint_is_refused(last):
    content = last.read_bytes()
    for length in range(0, len(content), len(content) // 20):
        last.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"last\.pt: is damaged"):
            checkpoint.load(last, CPU)


def test_flipped_bit_is_detected(last):
    content = last.read_bytes()
    positions = {*range(0, len(content), 97), *range(len(content) - FOOTER_BYTES, len(content))}
    for position in positions:
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        last.write_bytes(flipped)
        with pytest.raises(DataError, match=r"last\.pt: is damaged"):
            read_verified(last)


def test_previous_is_found_if_last_is_damaged(last):
    last.write_bytes(last.read_bytes()[:-1])
    found = find_newest(last.parent)
    assert (found.path.name, found.position) == (PREVIOUS_FILE, Position(1, 0))
    assert [text.partition(": ")[0] for text in found.damaged] == [str(last)]


def test_error_names_all_damaged_checkpoints(last):
    for path in (last, last.with_name(PREVIOUS_FILE)):
        path.write_bytes(b"text")
    with pytest.raises(DataError, match=r"last\.pt: .*previous\.pt: .* cnn-tui run") as error:
        find_newest(last.parent)
    assert error.value.exit_code == 3
    assert "\n" not in str(error.value)


def test_missing_checkpoints_are_no_error(tmp_path):
    assert find_newest(tmp_path) is None


class Canary:
    """Leaves a file when it is unpickled."""

    def __init__(self, call, *arguments):
        self._call, self._arguments = call, arguments

    def __reduce__(self):
        return self._call, self._arguments


@pytest.mark.parametrize("call", [os.system, eval])
def test_checkpoint_with_valid_checksum_cannot_run_code(last, call):
    canary = last.with_name("canary")
    text = f"touch {canary}" if call is os.system else f"open({str(canary)!r}, 'w')"
    buffer = io.BytesIO()
    torch.save({"model": Canary(call, text)}, buffer)
    last.write_bytes(buffer.getvalue() + checksum_footer(buffer.getvalue(), Position(1, 0)))
    with pytest.raises(DataError, match="is not a checkpoint of cnn-tui") as error:
        checkpoint.load(last, CPU)
    assert not canary.exists()
    assert "weights_only" not in str(error.value)


def repacked(content, compression):
    """Return an archive of `torch.save` with a large entry, packed again."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry), compression)
        new.writestr("archive/data/9", bytes(5_000_000), compression)
    return packed.getvalue()


def overlapping(content):
    """Return an archive whose entries claim to be larger than the file."""
    start = content.index(b"PK\x01\x02")
    claimed = struct.pack("<II", len(content), len(content))
    return content[: start + 20] + claimed + content[start + 28 :]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: repacked(content, zipfile.ZIP_DEFLATED),
        lambda content: repacked(content, zipfile.ZIP_LZMA),
        overlapping,
        lambda content: b"\x80\x02" + content[2:],
        lambda content: content[:50],
    ],
    ids=["deflated", "lzma", "overlapping", "no zip", "cut"],
)
def test_sealed_archive_that_grows_in_memory_is_refused(last, change):
    """A checkpoint of 10 MB that unpacks to 10 GB is refused before it is unpacked."""
    archive = change(last.read_bytes()[:-FOOTER_BYTES])
    last.write_bytes(archive + checksum_footer(archive, Position(1, 0)))
    with pytest.raises(DataError, match=r"last\.pt: (was not written by PyTorch|is not a check)"):
        checkpoint.load(last, CPU)


def test_stored_archive_is_read(last):
    archive = repacked(last.read_bytes()[:-FOOTER_BYTES], zipfile.ZIP_STORED)
    last.write_bytes(archive + checksum_footer(archive, Position(1, 0)))
    assert checkpoint.load(last, CPU)["epoch"] == 2


def test_newer_version_is_refused_and_kept(last, monkeypatch):
    monkeypatch.setattr("cnn_engine.checkpoints.format.FORMAT", FORMAT + 1)
    save(last, 3)
    monkeypatch.undo()
    content = last.read_bytes()
    with pytest.raises(ConfigError, match=r"last\.pt: a newer version of cnn-tui wrote") as raised:
        find_newest(last.parent)
    assert raised.value.exit_code == 2
    assert last.read_bytes() == content


def fail_call(monkeypatch, name, number, code):
    """Make the `number`th call of a function of `os` fail."""
    real, calls = getattr(os, name), 0

    def call(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == number:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)


CALLS = [
    ("open", 1),  # of the temporary file
    ("write", 1),
    ("fsync", 1),
    ("replace", 1),  # of last.pt to previous.pt
    ("replace", 2),  # of the temporary file to last.pt
    ("open", 2),  # of the directory
    ("fsync", 2),
]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize(("name", "number"), CALLS)
def test_older_checkpoint_survives_failed_save(last, monkeypatch, name, number, code):
    fail_call(monkeypatch, name, number, code)
    with pytest.raises(OSError, match=os.strerror(code)):
        save(last, 3)
    monkeypatch.undo()
    assert 2 in epochs_in(last.parent).values()
    assert find_newest(last.parent).damaged == ()
    assert list(last.parent.glob("*.tmp")) == []
    save(last, 4)
    assert epochs_in(last.parent)[LAST_FILE] == 4


def test_partial_write_is_continued(last, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: real(descriptor, content[:100]))
    save(last, 3)
    monkeypatch.undo()
    assert epochs_in(last.parent)[LAST_FILE] == 3


SAVER = """
import sys, pathlib, torch
from cnn_engine.checkpoints import checkpoint
from cnn_engine.checkpoints.format import Position
path = pathlib.Path(sys.argv[1])
content = {"model": {"weight": torch.ones(200_000)}}
for epoch in range(1, 1_000_000):
    checkpoint.save(path, content, Position(epoch, 0))
    print(epoch, flush=True)
"""


def test_kill_during_save_keeps_last_checkpoint(tmp_path):
    path = tmp_path / LAST_FILE
    saved_epoch = 0
    for delay in (0.002, 0.011):
        command = [sys.executable, "-c", SAVER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as saver:
            saver.stdout.readline()
            time.sleep(delay)
            saver.send_signal(signal.SIGKILL)
            saved_epoch = int((saver.stdout.read().split() or [b"1"])[-1])
        found = find_newest(tmp_path)
        assert found.damaged == ()
        assert found.position.epoch >= saved_epoch
        assert checkpoint.load(found.path, CPU)["model"]["weight"].eq(1).all()
        remove_temporary_files(tmp_path)
        assert list(tmp_path.glob("*.tmp")) == []


def test_footer_has_fixed_size():
    assert len(checksum_footer(b"anything", Position(2**40, 2**40))) == FOOTER_BYTES == 60
    assert checksum_footer(b"", Position(1, 0)).startswith(MAGIC)
